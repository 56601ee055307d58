"""A Hub with three tiny generators that were trained on digits, the safety checker and the captioner, and real images.

Everything that the documentation and the examples need to run for real in seconds.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.photographs import PHOTOGRAPHS
from demo.zoo import captioner, digits, safety
from demo.zoo.building import put, quiet_libraries
from localhub.process import HubProcess
from localhub.store import Store

GENERATORS = ("inkwell/if-digits", "inkwell/ddpm-digits", "inkwell/dit-digits")


@contextmanager
def small_hub(folder: Path) -> Iterator[HubProcess]:
    """The Hub, served; anybody may write."""
    store = Store(folder)
    with quiet_libraries():
        for family in (digits, safety, captioner):
            for repository in family.repositories():
                put(store, repository)
    with HubProcess(folder) as hub:
        yield hub


def environment_of(hub: HubProcess, home: Path) -> dict[str, str]:
    """The environment of a user of the Hub whose commands are the installed ones, with a home of their own."""
    commands = str(Path(sys.executable).parent)
    own = {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "HF_HOME": str(home / "hf-home")}
    return {**os.environ, **hub.environment("hf_any"), **own, "CF_WEIGHTS_DIR": str(home / "weights")}


def write_photographs(folder: Path, count: int = 3) -> None:
    """Photographs without captions."""
    folder.mkdir(parents=True)
    for photograph in PHOTOGRAPHS[:count]:
        (folder / photograph.name).write_bytes(photograph.read())


def write_coco(folder: Path, count: int = 3) -> None:
    """A small COCO: photographs, each with a caption."""
    write_photographs(folder / "val2017", count)
    names = sorted(path.name for path in (folder / "val2017").iterdir())
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    annotations = [{"image_id": one["id"], "caption": f"a picture called {one['file_name']}"} for one in images]
    (folder / "annotations").mkdir()
    text = json.dumps({"images": images, "annotations": annotations})
    (folder / "annotations" / "captions_val2017.json").write_text(text)
