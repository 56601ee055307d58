"""What the stages and a reader of a dataset import when they need it, for the server of `tests/programs.py`."""

import huggingface_hub.hf_api
import jinja2
import matplotlib.figure
import pandas
import pyarrow.pandas_compat
import pydantic.type_adapter

import captioning.stage
import community_forensics
import crawler.cli
import crawler.crawl
import manifests.cli
import manifests.exporting.cli
import manifests.publishing.publish
import manifests.restoring.restore
import manifests.stage
import samplers.cli
import samplers.running.supervisor
import samplers.status.cli

__all__ = [
    "captioning",
    "community_forensics",
    "crawler",
    "huggingface_hub",
    "jinja2",
    "manifests",
    "matplotlib",
    "pandas",
    "pyarrow",
    "pydantic",
    "samplers",
]
