"""How long a run will take and what it will store: `--dry-run` and `--calibrate`."""
