"""The command line `cf-detect`: each module of `commands` is a subcommand."""

import importlib
import pkgutil

from detectors import commands
from workspace import command_line


def main() -> None:
    """Entry point of cf-detect."""
    app = command_line.command_group("Train detectors on the dataset, and measure what they learned.")
    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"detectors.commands.{module.name}").register(app)
    command_line.run(app)
