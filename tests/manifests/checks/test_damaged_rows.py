"""What is wrong in the rows of samples, prompts and the catalogue is found and named when the manifest is built."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from manifests.building import build
from manifests.joining import sample_batches
from samplers.outcomes import Outcome, write_outcome
from samplers.sample import ImageFile
from tests.manifests.checks.damage import PAINTER, Victim, with_victims
from tests.manifests.making import Builder, fill
from tests.scale import scaled
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace


def lose_the_last_rows(builder: Builder) -> None:
    sketches = builder.samples["org/sketcher"]
    said = Outcome(model_name="org/sketcher", revision=sketches[0].revision, status="done", kept=9, tries=9)
    write_outcome(builder.workspace, said)
    del sketches[-2:]


def count_otherwise(builder: Builder) -> None:
    said = Outcome(model_name=PAINTER, revision=builder.catalog[0].revision, status="done", kept=8, tries=11)
    write_outcome(builder.workspace, said)


def change_prompt(builder: Builder, **changes: Any) -> None:
    builder.prompts["photos"][0] = replace(builder.prompts["photos"][0], **changes)


def change_generator(builder: Builder, **changes: Any) -> None:
    builder.catalog[0] = replace(builder.catalog[0], **changes)


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

#: Which of these are planted in one workspace: those that concern other records, or another fact of the same one. With
#: `make soak` each is alone.
TOGETHER: list[list[str]] = scaled(
    [
        [
            "counts that disagree",
            "another name",
            "a real image that is two",
            "generator twice",
            "a licence that is gone",
            "a real source without a prompt",
        ],
        [
            "another revision",
            "a licence from nowhere",
            "a sha256 of a real image that is none",
            "an unknown origin of a caption",
            "rows in another generator's folder",
        ],
        ["lost rows", "prompt twice"],
    ],
    [[damage] for damage in RECORDS],
)


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


@pytest.fixture(scope="module")
def refusals_of_several(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each damage of `RECORDS` why nothing is built."""
    said = {}
    for damages in TOGETHER:
        builder = fill(Builder(Workspace.open(tmp_path_factory.mktemp("records") / "workspace")))
        for damage in damages:
            RECORDS[damage][0](builder)
        with pytest.raises(CommunityForensicsError) as error:
            build(builder.write())
        assert not list(builder.workspace.manifest.iterdir())
        said |= dict.fromkeys(damages, str(error.value))
    return said


@pytest.mark.parametrize("damage", RECORDS)
def test_a_damaged_record_is_found_and_named(refusals_of_several: dict[str, str], damage: str) -> None:
    assert re.search(RECORDS[damage][1], refusals_of_several[damage]), refusals_of_several[damage]


def test_failures_of_several_batches_are_one(filled: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_batches, "BATCH_ROWS", 1)
    for name in (PAINTER, "org/sketcher"):
        for row in range(4):
            filled.change(name, row, nsfw_flag=True)
    names = ", ".join([*(f"{PAINTER} #{row}" for row in range(4)), "org/sketcher #0"])
    with pytest.raises(CommunityForensicsError, match=f"1 check failed\n  - 8 samples were kept.*: {names} and 3 more"):
        build(filled.write())


def test_more_rows_than_an_outcome_counted_are_no_failure(filled: Builder) -> None:
    """Sampling goes on while a manifest is built; outcomes are written when it ends."""
    said = Outcome(model_name=PAINTER, revision=filled.catalog[0].revision, status="crashed", kept=3, tries=4)
    write_outcome(filled.workspace, said)
    build(filled.write())
