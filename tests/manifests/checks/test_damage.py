"""Every kind of damage to a workspace is found and named when the manifest is built, and leaves no half manifest.

What happened to the files of one generator costs that generator and no other.
"""

import random
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from crawler.catalog import CatalogEntry, read_catalog
from manifests.building import Built, build
from manifests.checks.files import QUICK_ONE_IN
from manifests.joining import sample_batches
from manifests.manifest import manifest_path
from manifests.options import BuildOptions, Verify
from manifests.tables.generators import read_generators
from samplers.options import Store
from samplers.outcomes import Outcome, write_outcome
from samplers.sample import ImageFile, Sample
from tests.manifests.making import Builder, fill, sha256
from tests.scale import scaled
from workspace import records
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace, generator_folder, part_name

PAINTER = "org/painter"
FIRST = "images/org--painter/00000000.png"
#: The same image in either store.
PLACE = r"(images/org--painter/|samples/org--painter/part-00000\.parquet#)00000000\.png"


@dataclass(frozen=True)
class Victim:
    """The generator whose files are damaged, in a workspace that is put together."""

    builder: Builder
    name: str = PAINTER

    @property
    def images(self) -> str:
        return f"images/{generator_folder(self.name)}"

    @property
    def parts(self) -> str:
        return f"samples/{generator_folder(self.name)}"

    @property
    def first(self) -> Path:
        return self.builder.workspace.root / self.images / "00000000.png"

    @property
    def rows(self) -> list[Sample]:
        return self.builder.samples[self.name]

    def change(self, row: int = 0, **changes: Any) -> None:
        self.builder.change(self.name, row, **changes)

    def rewrite(self, content: bytes) -> None:
        """Another file, with a row that agrees with its bytes."""
        self.first.write_bytes(content)
        self.change(sha256=sha256(content), file_size=len(content))

    def save(self, image: Image.Image, **options: Any) -> None:
        image.save(self.first, "PNG", **options)
        self.rewrite(self.first.read_bytes())


def with_metadata(victim: Victim) -> None:
    note = PngInfo()
    note.add_text("parameters", "a prompt")
    with Image.open(victim.first) as image:
        victim.save(image, pnginfo=note)


def animated(victim: Victim) -> None:
    with Image.open(victim.first) as image:
        victim.save(image, save_all=True, append_images=[image.rotate(90)])


def as_jpeg(victim: Victim) -> None:
    victim.rewrite(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())


def with_pixels_that_do_not_unpack(victim: Victim) -> None:
    """A PNG of whole chunks in which the pixels are none."""
    data = b"no deflated data"
    chunk = len(data).to_bytes(4, "big") + b"IDAT" + data + zlib.crc32(b"IDAT" + data).to_bytes(4, "big")
    content = victim.first.read_bytes()
    victim.rewrite(content[:33] + chunk + content[-12:])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)


def lose_the_last_rows(builder: Builder) -> None:
    sketches = builder.samples["org/sketcher"]
    said = Outcome(model_name="org/sketcher", revision=sketches[0].revision, status="done", kept=9, tries=9)
    write_outcome(builder.workspace, said)
    del sketches[-2:]


def count_otherwise(builder: Builder) -> None:
    said = Outcome(model_name=PAINTER, revision=builder.catalog[0].revision, status="done", kept=8, tries=11)
    write_outcome(builder.workspace, said)


def photograph(builder: Builder) -> Path:
    return Path(builder.prompts["photos"][0].real_path)


def change_prompt(builder: Builder, **changes: Any) -> None:
    builder.prompts["photos"][0] = replace(builder.prompts["photos"][0], **changes)


def change_generator(builder: Builder, **changes: Any) -> None:
    builder.catalog[0] = replace(builder.catalog[0], **changes)


# What happens to the files, and the message about it.
FILES: dict[str, tuple[Callable[[Victim], object], str]] = {
    "missing file": (lambda v: v.first.unlink(), r"1 (image file is missing|sample names a file of another sample): "),
    "flipped byte": (lambda v: flip_a_byte(v.first), rf"1 image file has another sha256 than its row says: {PLACE}"),
    "metadata in a PNG": (with_metadata, rf"1 image file contains metadata: {PLACE}"),
    "an animation": (animated, rf"1 image file contains metadata: {PLACE}"),
    "a sha256 in capitals": (
        lambda v: v.change(sha256=sha256(v.first.read_bytes()).upper()),
        rf"1 image file has another sha256 than its row says: {PLACE}",
    ),
    "a JPEG named .png": (as_jpeg, rf"1 image file is not PNG: {PLACE}"),
    "something behind the picture": (
        lambda v: v.rewrite(v.first.read_bytes() + b"PK\3\4 an archive"),
        rf"1 image file contains data after the end of the picture: {PLACE}",
    ),
    "a PNG that is cut short": (
        lambda v: v.rewrite(v.first.read_bytes()[:-30]),
        rf"1 image file is a damaged PNG: {PLACE}",
    ),
    "a PNG of other pixels than it says": (with_pixels_that_do_not_unpack, rf"1 image file is a damaged PNG: {PLACE}"),
    "wrong size": (
        lambda v: v.change(width=17),
        rf"1 image has another mode or size than its row says: {PLACE}",
    ),
    "wrong mode": (
        lambda v: v.change(mode="L"),
        rf"1 image has another mode or size than its row says: {PLACE}",
    ),
    "a palette": (
        lambda v: v.save(Image.open(v.first).convert("P")),
        rf"1 image has another mode or size than its row says: {PLACE}",
    ),
    "a blank picture": (lambda v: v.save(Image.new("RGB", (16, 16), "navy")), rf"1 image is blank: {PLACE}"),
}

# And to real images.
REAL_IMAGES: dict[str, tuple[Callable[[Builder], object], str]] = {
    "real image gone": (
        lambda b: photograph(b).unlink(),
        r"1 real image is missing: .*real/photos/0.*--edition public",
    ),
    "real image empty": (lambda b: photograph(b).write_bytes(b""), r"1 real image file is empty: .*real/photos/0"),
    "real image changed": (
        lambda b: flip_a_byte(photograph(b)),
        r"1 real image has another sha256 than when it was captioned: .*real/photos/0",
    ),
    "real image of another size": (
        lambda b: change_prompt(b, real_width=25),
        r"1 real image has another format or size than its prompt says: .*real/photos/0",
    ),
    "real image of another format": (
        lambda b: change_prompt(b, real_format="JPEG"),
        r"1 real image has another format or size than its prompt says: .*real/photos/0",
    ),
}

# The same for what only files of their own can suffer.
FILES_OF_THEIR_OWN: dict[str, tuple[Callable[[Victim], object], str]] = {
    "empty file": (lambda v: v.first.write_bytes(b""), rf"1 image file is empty: {FIRST}"),
    "a file that is too short": (
        lambda v: v.first.write_bytes(v.first.read_bytes()[:-1]),
        rf"1 image file has another number of bytes than its row says: {FIRST}",
    ),
    "a folder for a file": (
        lambda v: (v.first.unlink(), v.first.mkdir()),
        r"1 image file (has another number of bytes|cannot be read).*: " + FIRST,
    ),
}

IMPOSSIBLE_SIZE = r"1 sample is not PNG of mode RGB or L, or has an impossible size: org/painter #1"

# And to the records of one generator.
RECORDS_OF_ONE: dict[str, tuple[Callable[[Victim], object], str]] = {
    "duplicate key": (
        lambda v: v.rows.append(replace(v.rows[0], seed=1)),
        r"1 sample is duplicated in samples/: org/painter #0",
    ),
    "a hole in the tries": (lambda v: v.rows.pop(3), r"1 generator lacks samples: .*: org/painter"),
    "the same seed twice": (
        lambda v: v.change(4, seed=7),
        r"1 sample has the seed of another sample.*: org/painter #4",
    ),
    "unknown prompt": (
        lambda v: v.change(3, prompt_id="photos/gone"),
        r"1 sample names a prompt that is not in prompts/: org/painter #3: photos/gone",
    ),
    "no prompt": (
        lambda v: v.change(3, prompt_id=None, prompt=None, real_source=None),
        r"1 sample lacks the prompt that its generator needs: org/painter #3",
    ),
    "another real source": (
        lambda v: v.change(0, real_source="locked"),
        r"1 sample has another real source than its prompt: org/painter #0: locked",
    ),
    "a seed of the version before": (
        lambda v: v.change(0, seed=2**53),
        r"1 sample has a seed of more than 53 bits, which many readers of numbers change: org/painter #0 \(another ver",
    ),
    "flagged row": (
        lambda v: v.change(0, nsfw_flag=True),
        r"1 sample was kept although flagged, or not checked: org/painter #0",
    ),
    "unchecked row": (
        lambda v: v.change(0, nsfw_flag=None),
        r"1 sample was kept although flagged, or not checked: org/painter #0",
    ),
    "a status that is none": (
        lambda v: v.change(6, status="fine"),
        r"1 sample has an unknown status: org/painter #6",
    ),
    "pixels of a rejected try": (
        lambda v: v.change(6, image=ImageFile(path="images/x.png")),
        r"1 rejected sample still has an image: org/painter #6",
    ),
    "one file for two rows": (
        lambda v: v.change(1, image=ImageFile(path=f"{v.images}/00000000.png")),
        r"1 sample names a file of another sample: org/painter #1",
    ),
    "a file of another generator": (
        lambda v: v.change(1, image=ImageFile(path="images/org--sketcher/00000001.png")),
        r"1 sample names a file of another sample: org/painter #1",
    ),
    "a path that leads out": (
        lambda v: v.change(1, image=ImageFile(path=f"{v.parts}/part-/../../../x.parquet#00000001.png")),
        r"1 sample names a file of another sample: org/painter #1",
    ),
    "a row without a name": (
        lambda v: v.change(1, image_name=None),
        r"1 kept sample lacks a value that every image has.*: org/painter #1",
    ),
    "a row without a size": (
        lambda v: v.change(1, width=None),
        r"1 kept sample lacks a value that every image has.*: org/painter #1",
    ),
    "a size that no image has": (
        lambda v: v.change(1, width=-16),
        IMPOSSIBLE_SIZE,
    ),
    "no width": (
        lambda v: v.change(1, width=0),
        IMPOSSIBLE_SIZE,
    ),
    "a height that no image has": (
        lambda v: v.change(1, height=16_385),
        IMPOSSIBLE_SIZE,
    ),
    "a file without bytes": (
        lambda v: v.change(1, file_size=0),
        IMPOSSIBLE_SIZE,
    ),
    "another image of its part": (
        lambda v: v.change(1, image=ImageFile(path=f"{v.parts}/part-00000.parquet#00000002.png")),
        r"1 sample names a file of another sample: org/painter #1",
    ),
    "a prompt id without a prompt": (
        lambda v: v.change(3, prompt=None),
        r"1 sample lacks the prompt that its generator needs: org/painter #3",
    ),
    "a number below 0": (lambda v: v.change(0, index=-1), r"1 generator lacks samples: .*: org/painter"),
    "another format": (
        lambda v: v.change(1, format="WEBP"),
        IMPOSSIBLE_SIZE,
    ),
    "a sha256 that is none": (
        lambda v: v.change(1, sha256="f" * 40),
        r"1 sample has an invalid sha256: org/painter #1",
    ),
}

# And to records of several generators, or with more than one consequence.
RECORDS: dict[str, tuple[Callable[[Builder], object], str]] = {
    "counts that disagree": (
        count_otherwise,
        r"1 generator has fewer.*, or other images: org/painter .samples 11, kept 9; counted 11 and 8",
    ),
    "another revision": (
        lambda b: b.change(PAINTER, 1, revision="f" * 40),
        r"a revision that the catalogue does not have: org/painter@ff",
    ),
    "another name": (
        lambda b: b.change(PAINTER, 1, image_name="00000002.png"),
        r"1 sample has a file name that is not made from its index: org/painter #1",
    ),
    "lost rows": (
        lose_the_last_rows,
        r"1 generator has fewer samples than its outcome.*: org/sketcher .samples 7, kept 7; counted 9 and 9",
    ),
    "prompt twice": (
        lambda b: b.prompts["photos"].append(b.prompts["photos"][0]),
        r"1 prompt id is duplicated in prompts/: .*folder/0",
    ),
    "a real image that is two": (
        lambda b: b.prompts["photos"].append(b.real("photos", 0, prompt_id="p", real_sha256="0" * 64)),
        r"1 real image has several sha256 in prompts/: photos/folder/0.png",
    ),
    "generator twice": (
        lambda b: b.catalog.append(b.catalog[0]),
        r"1 generator is duplicated in the catalogue: org/painter",
    ),
    "a licence from nowhere": (
        lambda b: change_generator(b, license_source="none"),
        r"1 generator has a licence without a source, or a source without a licence: org/painter",
    ),
    "a licence that is gone": (
        lambda b: change_generator(b, license=None),
        r"1 generator has a licence without a source, or a source without a licence: org/painter",
    ),
    "a sha256 of a real image that is none": (
        lambda b: change_prompt(b, real_sha256="f" * 40),
        r"1 prompt has an invalid real_sha256: photos/folder/0.png",
    ),
    "an unknown origin of a caption": (
        lambda b: change_prompt(b, caption_origin="guessed"),
        r"1 prompt has an unknown caption_origin \(none of dataset, generated, user\): photos/folder/0.png: guessed",
    ),
    "a real source without a prompt": (
        lambda b: b.change("solo-dreamer", 0, real_source="photos"),
        r"1 sample has another real source than its prompt: solo-dreamer #0: photos",
    ),
    "rows in another generator's folder": (
        lambda b: b.samples["org/sketcher"].append(b.samples[PAINTER].pop()),
        r"1 sample is in the folder of another generator: org/painter #10",
    ),
}


# The files of a generator's records.
OF_ONE_GENERATOR: dict[str, tuple[Callable[[Workspace, str], object], str]] = {
    "truncated part": (
        lambda w, name: part(w, name).write_bytes(part(w, name).read_bytes()[:-1]),
        r"1 file is damaged: \S*/samples/org--painter/part-00000.parquet \(run `cf-sample --verify full` with",
    ),
    "empty part": (lambda w, name: part(w, name).write_bytes(b""), r"1 file is damaged: \S*part-00000.parquet"),
    # An encoding in the header of a page, which only DuckDB looks at.
    "a part that DuckDB cannot read": (
        lambda w, name: change(part(w, name), b"\x15\x06\x15\x06\x1c", b"\x15\x06\x15\x02\x1c"),
        r"1 file is damaged: \S*part-00000.parquet",
    ),
    "a changed letter of a name": (
        lambda w, name: change(part(w, name), b"call_size", b"call_sizf"),
        r"1 file is damaged: \S*part-00000.parquet",
    ),
    "missing part": (
        lambda w, name: part(w, name).unlink(),
        r"1 file is missing: \S*/samples/org--painter/part-00000.parquet \(run `cf-sample --verify full` with",
    ),
    "not in the catalogue": (
        lambda w, name: recrawl(w, lambda rows: [row for row in rows if row.model_name != name]),
        r"1 generator was sampled at a revision that the catalogue does not have: org/painter@",
    ),
    "a newer revision in the catalogue": (
        lambda w, name: recrawl(
            w, lambda rows: [another_revision(row) if row.model_name == name else row for row in rows]
        ),
        r"1 generator was sampled at a revision that the catalogue does not have: \S+ \(restore the catalogue",
    ),
}


def part(workspace: Workspace, name: str = PAINTER) -> Path:
    return workspace.samples_of(name) / part_name(0)


def another_revision(row: CatalogEntry) -> CatalogEntry:
    return replace(row, revision=row.revision[::-1])


def change(path: Path, before: bytes, after: bytes) -> None:
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after))


def recrawl(workspace: Workspace, change: Callable[[list[CatalogEntry]], list[CatalogEntry]]) -> None:
    records.write(workspace.catalog, CatalogEntry, change(read_catalog(workspace)))


def with_victims(root: Path, damages: Iterable[str], rejected: int = 0) -> tuple[Builder, dict[str, Victim]]:
    """A workspace with one more generator for each damage, each with six images and that many rejected ones."""
    builder = fill(Builder(Workspace.open(root / "workspace")))
    victims = {}
    for number, damage in enumerate(damages):
        generator = builder.generator(f"org/victim-{number:02}")
        for prompt in builder.prompts["photos"][:6]:
            builder.sample(generator, prompt)
        for _ in range(rejected):
            builder.sample(generator, builder.prompts["photos"][0], status="nsfw", nsfw_flag=True)
        victims[damage] = Victim(builder, generator.model_name)
    return builder, victims


def assert_left_out(built: Built, victim: Victim, message: str) -> None:
    """What was built says in one line that the generator is left out and why, and has none of its images."""
    (line,) = (line for line in built.damaged if line.startswith(f"{victim.name} "))
    message = message.replace("org--painter", victim.name.replace("/", "--")).replace(PAINTER, victim.name)
    assert re.match(rf"{victim.name} is left out: {message}", line), line
    assert line in list(built.lines())
    workspace = victim.builder.workspace
    assert victim.name not in pq.read_table(manifest_path(workspace), columns=["model_name"])["model_name"].to_pylist()
    assert {row.model_name: row.kept for row in read_generators(workspace)}.get(victim.name, 0) == 0


def assert_others_are_whole(built: Built, workspace: Workspace) -> None:
    names = pq.read_table(manifest_path(workspace), columns=["model_name"])["model_name"].to_pylist()
    whole = {"org/painter": 9, "org/sketcher": 9, "solo-dreamer": 4}
    assert {name: names.count(name) for name in {*names} - {None}} == whole
    kept = {row.model_name: row.kept for row in read_generators(workspace)}
    assert {name: kept[name] for name in whole} == whole
    assert list(built.lines())[-len(built.damaged) :] == built.damaged


def left_out(workspace: Workspace, message: str) -> None:
    """The manifest is built without the painter, and says so in one line."""
    built = build(workspace, BuildOptions(verify="full"))
    assert_left_out(built, Victim(Builder(workspace)), message)


def refused(workspace: Workspace, message: str, verify: Verify = "full") -> None:
    with pytest.raises(CommunityForensicsError, match=message):
        build(workspace, BuildOptions(verify=verify))
    assert not manifest_path(workspace).exists()
    assert not list(workspace.manifest.iterdir())


Damaged = tuple[Built, dict[str, Victim]]


@pytest.fixture(scope="module", params=get_args(Store))
def damaged_files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """What is built where every damage of `FILES` has happened to a generator of its own."""
    builder, victims = with_victims(tmp_path_factory.mktemp("files"), FILES)
    for damage, victim in victims.items():
        FILES[damage][0](victim)
    return build(builder.write(store=request.param), BuildOptions(verify="full")), victims


@pytest.mark.parametrize("damage", FILES)
def test_a_damaged_file_is_found_and_named_in_either_store(damaged_files: Damaged, damage: str) -> None:
    built, victims = damaged_files
    assert_left_out(built, victims[damage], FILES[damage][1])


def test_damaged_files_cost_no_other_generator(damaged_files: Damaged) -> None:
    built, victims = damaged_files
    assert len(built.damaged) == len(victims)
    assert_others_are_whole(built, victims["missing file"].builder.workspace)


@pytest.mark.parametrize("store", get_args(Store))
@pytest.mark.parametrize("damage", REAL_IMAGES)
def test_a_damaged_real_image_is_found_and_named(filled: Builder, damage: str, store: Store) -> None:
    plant, message = REAL_IMAGES[damage]
    plant(filled)
    refused(filled.write(store=store), message)


@pytest.mark.parametrize("damage", FILES_OF_THEIR_OWN)
def test_a_damaged_separate_file_is_found_without_reading_it(filled: Builder, damage: str) -> None:
    plant, message = FILES_OF_THEIR_OWN[damage]
    victim = Victim(filled)
    plant(victim)
    assert_left_out(build(filled.write(), BuildOptions(verify="quick")), victim, message)


@pytest.fixture(scope="module", params=get_args(Verify))
def damaged_records(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Damaged:
    """The same with `OF_ONE_GENERATOR`."""
    builder, victims = with_victims(tmp_path_factory.mktemp("records"), OF_ONE_GENERATOR)
    workspace = builder.write()
    for damage, victim in victims.items():
        OF_ONE_GENERATOR[damage][0](workspace, victim.name)
    return build(workspace, BuildOptions(verify=request.param)), victims


@pytest.mark.parametrize("damage", OF_ONE_GENERATOR)
def test_a_damaged_file_of_records_is_found_and_named(damaged_records: Damaged, damage: str) -> None:
    built, victims = damaged_records
    assert_left_out(built, victims[damage], OF_ONE_GENERATOR[damage][1])


def test_damaged_records_cost_no_other_generator(damaged_records: Damaged) -> None:
    built, victims = damaged_records
    assert len(built.damaged) == len(victims)
    assert_others_are_whole(built, victims["missing part"].builder.workspace)


@pytest.mark.parametrize("damage", OF_ONE_GENERATOR)
def test_a_damaged_file_of_records_alone_costs_one_generator(filled: Builder, damage: str) -> None:
    plant, message = OF_ONE_GENERATOR[damage]
    plant(filled.write(), PAINTER)
    built = build(filled.workspace)
    assert_left_out(built, Victim(filled), message)
    assert built.kept == 13


def test_several_damaged_files_cost_their_generators_and_all_of_them_no_manifest(filled: Builder) -> None:
    workspace = filled.write()
    part(workspace).write_bytes(b"")
    (workspace.root / str(filled.samples["org/sketcher"][0].image.path)).unlink()
    built = build(workspace)
    assert [line.split(": ")[0] for line in built.damaged] == [
        "org/painter is left out",
        "org/sketcher is left out",
    ]
    assert built.kept == 4
    before = manifest_path(workspace).read_bytes()
    (workspace.root / str(filled.samples["solo-dreamer"][0].image.path)).unlink()
    with pytest.raises(CommunityForensicsError, match=r"no manifest was written: 3 checks failed\n.*1 file is damaged"):
        build(workspace)
    assert manifest_path(workspace).read_bytes() == before


def test_an_outcome_that_cannot_be_read_is_named_and_the_generators_images_are_kept(filled: Builder) -> None:
    workspace = filled.write()
    workspace.outcome_of(PAINTER).write_bytes(b"{")
    built = build(workspace)
    (line,) = built.damaged
    assert "outcomes/org--painter.json is damaged" in line
    assert "remove it" in line
    assert built.kept == 22
    (row,) = (row for row in read_generators(workspace) if row.model_name == PAINTER)
    assert (row.outcome, row.kept) == (None, 9)


RECORD_FILES = {
    "catalog.parquet": r"1 file is damaged: \S*/catalog.parquet \(restore catalog.parquet .* run `cf-crawl` again",
    "prompts/photos/part-00000.parquet": r"1 file is damaged: \S*/prompts/photos/part-00000.parquet \(run `cf-caption` "
    "again with the same options: it makes the same file",
}


@pytest.mark.parametrize("verify", get_args(Verify))
@pytest.mark.parametrize("file", RECORD_FILES)
def test_without_catalogue_or_prompts_nothing_is_built_and_the_line_says_what_makes_them_again(
    filled: Builder, file: str, verify: Verify
) -> None:
    path = filled.write().root / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CommunityForensicsError, match=RECORD_FILES[file]):
        build(filled.workspace, BuildOptions(verify=verify))
    assert not list(filled.workspace.manifest.glob("*"))


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Victim, str]]:
    """For each damage of `RECORDS_OF_ONE` its generator and why nothing is built. A workspace has as many of them as
    have messages of their own."""
    batches: list[dict[str, str]] = []
    for damage, (_, message) in RECORDS_OF_ONE.items():
        problem = message.partition(": org")[0]
        batch = next((batch for batch in batches if problem not in batch.values()), None)
        batches += [] if batch is not None else [batch := {}]
        batch[damage] = problem
    refused = {}
    for number, batch in enumerate(batches):
        builder, victims = with_victims(tmp_path_factory.mktemp(f"records-{number}"), batch, rejected=2)
        for damage, victim in victims.items():
            RECORDS_OF_ONE[damage][0](victim)
        with pytest.raises(CommunityForensicsError) as error:
            build(builder.write())
        assert not list(builder.workspace.manifest.iterdir())
        refused |= {damage: (victim, str(error.value)) for damage, victim in victims.items()}
    return refused


@pytest.mark.parametrize("damage", RECORDS_OF_ONE)
def test_a_damaged_record_of_a_generator_is_found_and_named(
    refusals: dict[str, tuple[Victim, str]], damage: str
) -> None:
    victim, refusal = refusals[damage]
    assert re.search(RECORDS_OF_ONE[damage][1].replace(PAINTER, victim.name), refusal), refusal


@pytest.mark.parametrize("damage", RECORDS)
def test_a_damaged_record_is_found_and_named(filled: Builder, damage: str) -> None:
    plant, message = RECORDS[damage]
    plant(filled)
    refused(filled.write(), message, "quick")


PARTS = ("samples/org--painter/part-00000.parquet", "prompts/photos/part-00000.parquet", "catalog.parquet")


@pytest.mark.parametrize("part", PARTS)
def test_a_byte_that_changed_in_a_record_is_found_or_changes_nothing(filled: Builder, part: str) -> None:
    """Some bytes of a Parquet file belong to no row: those of the columns' documentation."""
    workspace = filled.write()
    build(workspace)
    right, content = manifest_path(workspace).read_bytes(), (workspace.root / part).read_bytes()
    noticed, bytes_changed = [], scaled(10, 400)
    for seed in range(bytes_changed):
        damaged, chance = bytearray(content), random.Random(seed)
        damaged[chance.randrange(len(damaged))] ^= chance.randrange(1, 256)
        (workspace.root / part).write_bytes(damaged)
        try:
            built = build(workspace, BuildOptions(verify=chance.choice(get_args(Verify))))
        except CommunityForensicsError as error:
            noticed.append(str(error))
        else:
            noticed += built.damaged
            if built.damaged:
                assert built.kept == 13
                continue
        assert built_again(workspace, right, part)
    assert len(noticed) > bytes_changed / 4
    assert all(part in said or "another version" in said or "cannot be joined" in said for said in noticed)
    assert not part.startswith("samples/") or all("org/painter is left out" in said for said in noticed)


def built_again(workspace: Workspace, right: bytes, part: str) -> bool:
    """Whether the manifest is the right one, or, for a sample part, the one that lacks its generator."""
    rows = pq.read_metadata(manifest_path(workspace)).num_rows
    return manifest_path(workspace).read_bytes() == right or (part.startswith("samples/") and rows == 13 + 9)


@pytest.mark.parametrize("store", get_args(Store))
@pytest.mark.parametrize("verify", get_args(Verify))
def test_an_undamaged_workspace_passes(filled: Builder, store: Store, verify: Verify) -> None:
    painter = filled.catalog[0]
    said = Outcome(model_name=PAINTER, revision=painter.revision, status="done", kept=9, tries=11)
    write_outcome(filled.workspace, said)
    assert build(filled.write(store=store), BuildOptions(verify=verify)).kept == 22


def test_damage_leaves_the_former_manifest(filled: Builder) -> None:
    workspace = filled.write()
    build(workspace)
    before = {path.name: path.read_bytes() for path in workspace.manifest.iterdir()}
    filled.change(PAINTER, 1, nsfw_flag=True)
    with pytest.raises(CommunityForensicsError):
        build(filled.write())
    assert {path.name: path.read_bytes() for path in workspace.manifest.iterdir()} == before


def test_all_failures_are_reported_at_once(filled: Builder) -> None:
    Victim(filled).first.unlink()
    filled.change(PAINTER, 1, nsfw_flag=True)
    filled.change(PAINTER, 2, image_name=None)
    filled.change(PAINTER, 3, seed=0)
    with pytest.raises(CommunityForensicsError) as message:
        build(filled.write())
    assert str(message.value).count("\n  - ") == 3, message.value
    filled.change(PAINTER, 2, image_name="00000002.png")
    with pytest.raises(CommunityForensicsError) as message:
        build(filled.write())
    assert str(message.value).count("\n  - ") == 3, message.value
    assert "is missing" in str(message.value)


def test_many_rows_are_counted_and_a_few_named(filled: Builder) -> None:
    for sample in filled.samples[PAINTER][:9]:
        (filled.workspace.root / str(sample.image.path)).unlink()
    left_out(filled.write(), r"9 image files are missing: (\S+, ){4}\S+ and 4 more \(")


def test_failures_of_several_batches_are_one(filled: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_batches, "BATCH_ROWS", 1)
    for name in (PAINTER, "org/sketcher"):
        for row in range(4):
            filled.change(name, row, nsfw_flag=True)
    names = ", ".join([*(f"{PAINTER} #{row}" for row in range(4)), "org/sketcher #0"])
    with pytest.raises(CommunityForensicsError, match=f"1 check failed\n  - 8 samples were kept.*: {names} and 3 more"):
        build(filled.write())


def test_quick_fetches_nothing_from_an_archive_that_it_does_not_read(builder: Builder) -> None:
    """To ask for the size of one member could be to fetch the archive."""
    photos = (builder.real("photos", number) for number in range(99))
    photo = next(photo for photo in photos if int(photo.real_sha256[:8], 16) % QUICK_ONE_IN)
    gone = replace(photo, real_path=f"{builder.workspace.root}/gone.tar#0.png")
    builder.prompts["photos"] = [gone]
    builder.sample(builder.generator(PAINTER), gone)
    build(builder.write())
    with pytest.raises(CommunityForensicsError, match=r"1 real image is missing: .*gone.tar#0.png"):
        build(builder.workspace, BuildOptions(verify="full"))


def test_more_rows_than_an_outcome_counted_are_no_failure(filled: Builder) -> None:
    """Sampling goes on while a manifest is built; outcomes are written when it ends."""
    said = Outcome(model_name=PAINTER, revision=filled.catalog[0].revision, status="crashed", kept=3, tries=4)
    write_outcome(filled.workspace, said)
    build(filled.write())


def test_quick_reads_some_files_and_full_all(builder: Builder) -> None:
    generator = builder.generator("org/painter", task="unconditional")
    for _ in range(200):
        sample = builder.sample(generator, None)
        flip_a_byte(builder.workspace.root / str(sample.image.path))
    workspace = builder.write(rows_a_part=200)
    with pytest.raises(CommunityForensicsError) as quick:
        build(workspace)
    with pytest.raises(CommunityForensicsError, match="200 image files have another sha256"):
        build(workspace, BuildOptions(verify="full"))
    found = int(str(quick.value).split("  - ")[1].split()[0])
    assert 0 < found < 20
