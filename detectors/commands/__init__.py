"""The subcommands of `cf-detect`: each module has `register`, which adds its command to the program."""
