"""A mixed tree of files as people publish them, with what must become of each."""

import csv
import io
import json
import random
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.samplers.foreign.making import WEB_UI, comfyui, encoded, exif, picture, png_with

#: Shares of all files.
BROKEN, EQUAL = 0.05, 0.03


@dataclass
class Corpus:
    """What is in it: the bytes of each file by its name in the import, and what must become of it."""

    root: Path
    contents: dict[str, bytes] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    equal: dict[str, str] = field(default_factory=dict)
    """Copies, by name, and the name of what they are a copy of."""
    prompts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Prompt and its source, by name; none of the others has one."""


def make(root: Path, count: int) -> Corpus:
    """A corpus of `count` image files: in folders, a zip, a tar and a Parquet file."""
    corpus, chance = Corpus(root), random.Random(0)
    root.mkdir(parents=True)
    places = ["", "deep/er/", "some.zip#inner/", "other.tar#", "rows.parquet#"]
    sides: dict[str, bytes] = {}
    table: list[tuple[str, str]] = []
    rows: list[tuple[bytes, str | None]] = []
    broken = set(chance.sample(range(count), int(count * BROKEN)))
    whole: list[str] = []
    for number in range(count):
        place = places[number % len(places)]
        suffix, content, said = _file(number)
        if number in broken:
            content = [content[: len(content) // 3], b"<html>404</html>", b""][number % 3]
            said = None
        copied = None
        if number not in broken and whole and number % round(1 / EQUAL) == 0:
            copied = chance.choice([name for name in whole if name not in corpus.prompts])
            content, said, suffix = corpus.contents[copied], None, f".{copied.rpartition('.')[2][:4]}"
            suffix = suffix if suffix in (".png", ".jpg", ".webp") else ".png"
        name = f"{place}{number:05d}{suffix}" if place != "rows.parquet#" else f"rows.parquet#row={len(rows):09d}"
        beside = None
        if said is None and number not in broken and copied is None:
            beside = _beside(number, name, sides, table)
        if place == "rows.parquet#":
            rows.append((content, beside[0] if beside else None))
        corpus.contents[name] = content
        if number in broken:
            corpus.broken.add(name)
        else:
            whole.append(name)
        if (prompt := said or beside) is not None:
            corpus.prompts[name] = prompt
    first: dict[bytes, str] = {}
    for name in sorted(whole):
        if (earlier := first.setdefault(corpus.contents[name], name)) != name:
            corpus.equal[name] = earlier
    _write(corpus, sides, table, rows)
    return corpus


def _file(number: int) -> tuple[str, bytes, tuple[str, str] | None]:
    """A suffix, the bytes, and the prompt in the file itself."""
    shown = picture(number)
    kinds = number % 7
    if kinds == 0:
        return ".png", encoded(shown), None
    if kinds == 1:
        return ".jpg", encoded(shown, "JPEG", quality=60 + number % 40), None
    if kinds == 2:
        return ".webp", encoded(shown, "WEBP"), None
    if kinds == 3:
        return ".png", png_with(number, {"parameters": WEB_UI}), ("a red house, oil painting", "file:parameters")
    if kinds == 4:
        text = f"thing {number}"
        return ".png", png_with(number, {"prompt": comfyui(text)}), (text, "file:prompt")
    if kinds == 5:
        content = encoded(shown, "JPEG", exif=exif(UserComment=WEB_UI))
        return ".jpg", content, ("a red house, oil painting", "file:exif:UserComment")
    return ".jpg", encoded(shown, "JPEG", quality=90, progressive=True, exif=exif(Make="A camera")), None


def _beside(number: int, name: str, sides: dict[str, bytes], table: list[tuple[str, str]]) -> tuple[str, str] | None:
    """A prompt that is said beside the file: in a column, a table, or a text of its own; of every fourth nothing."""
    if number % 4 == 0:
        return None
    text = f"what number {number} shows"
    if name.startswith("rows.parquet#"):
        return text, "column:prompt"
    if "#" not in name and number % 4 == 1:
        table.append((name, text))
        return text, "table:prompts.csv"
    if number % 4 == 2:
        sides[f"{name.rpartition('.')[0]}.json"] = json.dumps({"prompt": text, "steps": 3}).encode()
        return text, "beside:.json"
    sides[f"{name.rpartition('.')[0]}.txt"] = text.encode()
    return text, "beside:.txt"


def _write(
    corpus: Corpus, sides: dict[str, bytes], table: list[tuple[str, str]], rows: list[tuple[bytes, str | None]]
) -> None:
    files = {name: content for name, content in {**corpus.contents, **sides}.items() if "rows.parquet" not in name}
    with (
        zipfile.ZipFile(corpus.root / "some.zip", "w", zipfile.ZIP_DEFLATED) as zipped,
        tarfile.open(corpus.root / "other.tar", "w") as tar,
    ):
        for name, content in files.items():
            container, mark, member = name.partition("#")
            if not mark:
                path = corpus.root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            elif container == "some.zip":
                zipped.writestr(member, content)
            else:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    with (corpus.root / "prompts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "prompt"])
        writer.writerows(table)
    (corpus.root / "README.md").write_text("# Images\n")
    columns = {"image": pa.array([one for one, _ in rows], pa.binary()), "prompt": pa.array([two for _, two in rows])}
    pq.write_table(pa.table(columns), corpus.root / "rows.parquet")
