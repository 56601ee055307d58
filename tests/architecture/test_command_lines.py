"""Command lines start without the large libraries: `--help` and a wrong option are answered at once."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
SCRIPTS: dict[str, str] = tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]
MODULES = sorted({entry.partition(":")[0] for entry in SCRIPTS.values()})
#: Libraries that take up to ten seconds to import, and the Hub's client, which no wrong option needs.
LARGE = {"torch", "diffusers", "transformers", "huggingface_hub"}

_SCRIPT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""


def test_every_command_line_is_measured() -> None:
    assert {f"{room}.cli" for room in ("crawler", "captioning", "samplers", "manifests", "localhub")} < set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_command_line_imports_no_large_library(module: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", _SCRIPT, module], capture_output=True, text=True, timeout=60, check=True
    )
    imported = set(json.loads(process.stdout))
    assert module in imported
    assert imported & LARGE == set()
