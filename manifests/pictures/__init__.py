"""Pictures as people see them: decoded in processes with limits, because their files are strangers'.

`process` decodes (RGB, upright, transparency on white, 16 bits scaled to 8) and answers with few pixels; `readers`
starts such processes, asks them, and takes their answers for data that may be wrong but cannot run.
"""
