"""What all stages share: the workspace folder, and how it is read and written. Nothing here knows a stage.

layout          the paths of all files
atomic          writing a file whole or not at all
records         typed rows in Parquet files
recipe          the settings that must not change within a workspace
exclusive       what one process of a workspace does at a time; `process_folder`, `folder_lock`: how, without file locks
shard           a share of the work
locator         the bytes of an image, by the text that says where they are (`containers`: inside archives)
hub_access      which Hub, with which token; `retry`: when to repeat a request; `repo_id`: valid names
hub_session     requests to the Hub; `hub_body`, `hub_connection`: answers of limited size and time
errors          the exceptions; `command_line`: messages and exit codes
progress        progress bars and logs
threads, size, identity, environment    small tools
"""
