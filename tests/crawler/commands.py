"""`cf-crawl` in processes of its own, forked from one that has imported the code."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import constants

from tests.forking import Forked, Server

SERVER = Server(
    "crawler.cli", "crawler.crawl", "huggingface_hub.hf_api", "pydantic.type_adapter", "typer._adapters", __name__
)


def start(environment: Mapping[str, str], stderr: Path, *arguments: str) -> Forked:
    """A command with these variables in its environment, HF_ENDPOINT among them; it prints its errors to a file."""
    return Forked(SERVER.start(_cf_crawl, dict(environment), stderr, [*arguments]))


def _cf_crawl(environment: dict[str, str], stderr: Path, arguments: list[str]) -> None:
    for descriptor, path in ((1, os.devnull), (2, stderr)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), descriptor)
    os.environ.update(environment)
    constants.ENDPOINT = environment["HF_ENDPOINT"]  # read when the server imported it
    from crawler.cli import main

    sys.argv = ["cf-crawl", *arguments]
    main()
