"""captioning/prompt_parts.py: every image of a part has its own caption or is skipped; none is lost or mixed up."""

import dataclasses
import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from PIL import Image

from captioning.blip import Blip
from captioning.captioner import Captioner
from captioning.decoders import Decoders
from captioning.decoding import DecodeAll, DecodeResult, Job, Unusable, decode_in_process
from captioning.prompt import Prompt
from captioning.prompt_parts import Captioning, PartResult, caption_part, parts_of, write_part
from captioning.selection import Selection, select
from captioning.skipped import Skipped
from captioning.sources.source import Source
from captioning.target_size import TargetSize
from demo.zoo.captioner.captions import PHOTOGRAPHS
from tests.captioning.oddities import all_oddities, write
from tests.scale import weekly
from workspace import records
from workspace.identity import number_of, sha256_of_file
from workspace.layout import Workspace
from workspace.roots import root_locator


def captioned(
    selection: Selection, captioner: Captioner, batch_size: int = 4, decode: DecodeAll[Any] = decode_in_process
) -> PartResult:
    (part,) = parts_of([selection], 10_000)
    steps: list[None] = []
    captioning = Captioning("tiny@1", lambda: captioner, batch_size, decode)
    result = caption_part(part, captioning, lambda: steps.append(None))
    assert len(steps) == len(part.ids) == len(result.prompts) + len(result.skipped)
    return result


def never() -> Captioner:
    raise AssertionError("the captioner was loaded for images that have captions of their own")


class Echo:
    """Captions each image with its mean colour, so that every caption can be compared with its image."""

    def __init__(self, say: Callable[[int], str] = lambda value: f"grey level {value}") -> None:
        self.batches: list[int] = []
        self._say = say

    target_size = TargetSize(1, 1, Image.Resampling.BICUBIC)

    def caption(self, views: Sequence[npt.NDArray[np.uint8]]) -> list[str]:
        self.batches.append(len(views))
        return [self._say(round(float(view.mean()))) for view in views]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> tuple[Path, dict[str, str]]:
    """Each photograph in two sizes under a name that says nothing, broken files between them; sha256 -> its caption."""
    root, shuffled, captions = tmp_path_factory.mktemp("gallery"), random.Random(0), {}
    for name, caption in PHOTOGRAPHS.items():
        with Image.open(photos / name) as image:
            for _ in range(2):
                path = root / f"{shuffled.getrandbits(64):016x}.png"
                image.resize((shuffled.randint(40, 250), shuffled.randint(40, 250))).save(path)
                captions[sha256_of_file(path)] = caption
    for number in range(20):
        (root / f"{shuffled.getrandbits(64):016x}.jpg").write_bytes(b"broken" * number)
    shutil.copy(photos / "rocket.jpg", root / "8-own.jpg")
    (root / "8-own.txt").write_text("lift-off")
    return root, captions


@pytest.mark.parametrize("batch_size", [3, 64])
def test_every_photograph_gets_its_own_caption_with_other_files_between(
    gallery: tuple[Path, dict[str, str]], blip: Blip, batch_size: int
) -> None:
    root, captions = gallery
    selection = select("x", root)
    with Decoders(3) as decoders:
        result = captioned(selection, blip, batch_size, decoders.decode)
    assert result == captioned(selection, blip, batch_size)
    generated = {prompt.real_sha256: prompt.prompt for prompt in result.prompts if prompt.caption_origin == "generated"}
    own = {prompt.real_id: prompt.prompt for prompt in result.prompts if prompt.caption_origin == "dataset"}
    assert generated == captions
    assert own == {"8-own.jpg": "lift-off"}
    assert len(result.skipped) == 20
    assert [prompt.real_id for prompt in result.prompts] == sorted(prompt.real_id for prompt in result.prompts)


@weekly("captioning/test_decoders.py::test_processes_killed_by_accident_change_no_result")
@pytest.mark.usefixtures("new_interpreters")
def test_every_generated_caption_is_of_the_image_in_its_row_while_processes_are_killed(tmp_path: Path) -> None:
    chance, levels, root = random.Random(1), {}, tmp_path / "real"
    root.mkdir()
    for number in range(150):
        level, name = chance.randrange(256), f"{chance.getrandbits(32):08x}.{chance.choice(['png', 'jpg'])}"
        size = (chance.choice([1, 8, 200, 1500]), chance.choice([1, 8, 200, 1000]))
        Image.new("RGB", size, (level, level, level)).save(root / name)
        levels[name] = level
        if number % 10 == 0:
            (root / name).write_bytes((root / name).read_bytes()[:-30])
            del levels[name]

    with Decoders(2) as decoders:

        def killing(jobs: Iterable[tuple[Any, Job | Unusable]]) -> Iterator[tuple[Any, DecodeResult]]:
            for number, decoded in enumerate(decoders.decode(jobs)):
                if number % 30 == 10:
                    decoding = [
                        child
                        for child in psutil.Process().children()
                        if "captioning.decoding_process" in child.cmdline()
                    ]
                    chance.choice(decoding).kill()
                yield decoded

        result = captioned(select("x", root), Echo(), 7, killing)
    assert {prompt.real_id: prompt.prompt for prompt in result.prompts} == {
        name: f"grey level {level}" for name, level in levels.items()
    }
    assert {row.reason for row in result.skipped} == {"broken"}
    for prompt in result.prompts:
        assert prompt.real_sha256 == sha256_of_file(root / prompt.real_id)


def test_odd_and_broken_files_are_captioned_or_listed_and_none_is_lost(tmp_path: Path) -> None:
    oddities = all_oddities()
    root = tmp_path / "real"
    write(root, oddities)
    expected = {name: oddity.reason for name, oddity in oddities.items()}
    os.mkfifo(root / "pipe.png")
    (root / "dangling.png").symlink_to("gone.png")
    Path(os.fsdecode(bytes(root) + b"/caf\xe9.png")).write_bytes(oddities["plain.png"].content)
    (root / "locked.txt").symlink_to("/etc/hostname")
    (root / "locked.png").write_bytes(oddities["plain.png"].content)
    expected |= {"pipe.png": "not-a-file", "dangling.png": "missing"}
    expected |= {r"caf\xe9.png": "name", "locked.png": "unreadable"}
    assert len(expected) >= 60

    result = captioned(select("odd", root), Echo())
    assert {row.real_id: row.reason for row in result.skipped} == {n: r for n, r in expected.items() if r is not None}
    assert {prompt.real_id for prompt in result.prompts} == {name for name, r in expected.items() if r is None}
    assert len(result.prompts) + len(result.skipped) == len(expected)
    for prompt in result.prompts:
        assert prompt.prompt_id == f"odd/{prompt.real_id}"
        assert prompt.real_sha256 == hashlib.sha256((root / str(prompt.real_id)).read_bytes()).hexdigest()
        assert prompt.real_path == root_locator("odd", str(prompt.real_id))
        assert (prompt.real_format, prompt.real_width, prompt.real_height) == oddities[prompt.real_id].facts


def test_no_captioner_is_loaded_for_images_with_captions_of_their_own(digits: Path) -> None:
    (part,) = parts_of([select("digits", digits)], 1000)
    result = caption_part(part, Captioning("tiny@1", never, 8), lambda: None)
    assert len(result.prompts) == 200
    for prompt in result.prompts:
        assert prompt.prompt == (digits / str(prompt.real_id)).with_suffix(".txt").read_text().strip()
        assert (prompt.caption_origin, prompt.captioner) == ("dataset", None)
        assert (prompt.license, prompt.redistributable) == ("cc-by-4.0", True)


def test_no_captioner_is_loaded_for_files_that_are_no_images(tmp_path: Path, digits: Path) -> None:
    shutil.copytree(digits, tmp_path / "mixed")
    for number in range(20):
        (tmp_path / f"mixed/bad{number}.jpg").write_bytes(b"\xff\xd8 nothing")
    (part,) = parts_of([select("mixed", tmp_path / "mixed")], 1000)
    with Decoders(2) as decoders:
        result = caption_part(part, Captioning("tiny@1", never, 8, decoders.decode), lambda: None)
    assert (len(result.prompts), [row.reason for row in result.skipped]) == (200, ["not-an-image"] * 20)


def images(root: Path, *levels: int) -> Path:
    root.mkdir(exist_ok=True)
    for level in levels:
        Image.new("RGB", (8, 8), (level, level, level)).save(root / f"{level:03d}.png")
    return root


def test_an_unusable_caption_is_counted_and_replaced_by_a_generated_one(tmp_path: Path) -> None:
    root = images(tmp_path / "real", 10, 20, 30)
    (root / "010.txt").write_text(" \n")
    (root / "020.txt").write_text("word " * 400 + "and more " * 100)
    (root / "030.txt").write_text("a  grey square")
    result = captioned(select("x", root), Echo())
    assert [(p.prompt, p.caption_origin, p.captioner) for p in result.prompts] == [
        ("grey level 10", "generated", "tiny@1"),
        ("grey level 20", "generated", "tiny@1"),
        ("a grey square", "dataset", None),
    ]
    assert result.dropped == {"empty": 1, "too-long": 1}


def test_an_image_whose_generated_caption_cannot_be_a_prompt_is_skipped(tmp_path: Path) -> None:
    root = images(tmp_path / "real", 10, 20)
    result = captioned(select("x", root), Echo(lambda value: "..." if value == 10 else "the the the square"))
    assert [(p.real_id, p.prompt) for p in result.prompts] == [("020.png", "the square")]
    assert [(row.real_id, row.reason, row.detail) for row in result.skipped] == [
        ("010.png", "caption", "no-words: '...'")
    ]


def test_rows_are_in_the_order_of_the_ids(tmp_path: Path) -> None:
    root = images(tmp_path / "real", *range(0, 80, 10))
    (root / "050.png").write_bytes(b"")
    (root / "060.txt").write_text("sixty")
    result = captioned(
        select("x", root), Echo(lambda value: "..." if value in (10, 70) else f"grey {value}"), batch_size=64
    )
    assert [prompt.real_id for prompt in result.prompts] == [f"{n:03d}.png" for n in (0, 20, 30, 40, 60)]
    assert [row.real_id for row in result.skipped] == ["010.png", "050.png", "070.png"]


def test_batches_are_filled_across_images_that_need_no_captioner(tmp_path: Path) -> None:
    root = images(tmp_path / "real", *range(0, 110, 10))
    (root / "020.txt").write_text("twenty")
    (root / "030.png").write_bytes(b"")
    echo = Echo()
    captioned(select("x", root), echo, batch_size=4)
    assert echo.batches == [4, 4, 1]


def test_one_of_several_captions_is_chosen_by_the_images_name(tmp_path: Path) -> None:
    root = images(tmp_path / "real", *range(40))
    selection = select("x", root)

    class Talkative:
        ids = selection.ids

        def image(self, real_id: str) -> object:
            image = selection.collection.image(real_id)
            return dataclasses.replace(image, captions=("one", "two", "", "three"))

    talkative = dataclasses.replace(selection, collection=Talkative())  # type: ignore[arg-type]
    prompts = captioned(talkative, Echo()).prompts
    usable = ("one", "two", "three")
    assert [p.prompt for p in prompts] == [usable[number_of("caption", "x", p.real_id) % 3] for p in prompts]
    assert {prompt.prompt for prompt in prompts} == set(usable)
    assert {prompt.captions for prompt in prompts} == {("one", "two", "", "three")}


def test_a_caption_that_is_not_unicode_is_kept_as_far_as_possible(tmp_path: Path) -> None:
    root = images(tmp_path / "real", 10)
    (root / "010.json").write_text('{"captions": ["a \\ud800 grey square", "a square"]}')
    workspace = Workspace.open(tmp_path / "workspace")
    (part,) = parts_of([select("x", root)], 10)
    write_part(workspace, part, captioned(part.selection, Echo()), {})
    (prompt,) = records.read(part.path(workspace), Prompt)
    assert prompt.captions == ("a ? grey square", "a square")
    assert prompt.prompt in ("a grey square", "a square")


def test_the_licence_of_an_image_replaces_that_of_its_source(tmp_path: Path) -> None:
    root = images(tmp_path / "real", 1, 2, 3)
    (root / "licenses.json").write_text('{"001.png": {"license": "mit"}, "002.png": {"redistributable": false}}')
    selection = select("x", root)
    source = Source("x", selection.source.reader, license="cc0-1.0", redistributable=True)
    prompts = captioned(dataclasses.replace(selection, source=source), Echo()).prompts
    assert [(p.license, p.redistributable) for p in prompts] == [("mit", None), (None, False), ("cc0-1.0", True)]


def test_parts_are_slices_in_order(tmp_path: Path) -> None:
    root = images(tmp_path / "real", *range(10))
    selections = [select(name, root) for name in "ab"]
    parts = parts_of(selections, 4)
    assert [(part.selection.source.name, part.number, len(part.ids)) for part in parts] == [
        *(("a", number, size) for number, size in enumerate([4, 4, 2])),
        *(("b", number, size) for number, size in enumerate([4, 4, 2])),
    ]
    assert [real_id for part in parts[:3] for real_id in part.ids] == list(selections[0].ids)


def test_skipped_rows_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    root = images(tmp_path / "real", 10)
    (root / "bad.png").write_bytes(b"")
    workspace = Workspace.open(tmp_path / "workspace")
    (part,) = parts_of([select("x", root)], 10)
    folder = workspace.prompts_of("x")
    write_part(workspace, part, captioned(part.selection, Echo()), {})
    assert [row.reason for row in records.read(folder / "skipped-00000.parquet", Skipped)] == ["empty"]
    assert part.is_finished(workspace)
    (folder / "part-00000.parquet").unlink()
    assert not part.is_finished(workspace)
    images(root, 20)
    (root / "bad.png").write_bytes((root / "020.png").read_bytes())
    write_part(workspace, part, caption_part(part, Captioning("tiny@1", Echo, 4), lambda: None), {})
    assert not (folder / "skipped-00000.parquet").exists()
    assert [prompt.real_id for prompt in records.read(folder / "part-00000.parquet", Prompt)] == ["010.png", "bad.png"]
