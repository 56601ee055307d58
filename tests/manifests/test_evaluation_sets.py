"""The evaluation sets: what they share with training (nothing), and which real image stands beside which generated one.

What is shared is found here from the catalogue, the prompts and the rows, in another way than the build does it.
"""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crawler.catalog import CatalogEntry
from manifests.building import Built, build
from manifests.evaluation_sets import EvaluationRow, evaluation_path
from manifests.options import BuildOptions
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.making import Builder, rows_of
from workspace import records
from workspace.errors import UsageError
from workspace.layout import Workspace

TRAIN, TEST = "train", "test"
IMPORTED = {"origin": "imported", "seed": None, "batch_size": None, "call_size": None, "device": None, "dtype": None}
IMPORTED |= {"scheduler": None, "libraries": None, "num_inference_steps": None, "guidance_scale": None}


def _study(builder: Builder) -> Workspace:
    """The kinds of the study: Systematic and Manual for training, and an evaluation set of a commercial generator, one
    that was imported, one that was sampled by hand, and generators that share a base, a prompt's photograph, a picture
    or weights with one side."""
    photos = [builder.real("coco", number) for number in range(12)]
    locked = [builder.real("laion", number, redistributable=False) for number in range(100, 106)]
    none = {"lineage": (), "base_model": None}
    tuned = builder.generator("org/tuned", lineage=("org/base",), base_model="org/base")
    plain = builder.generator("org/plain", lineage=("org/other-base",), base_model="org/other-base")
    gan = builder.generator("manual/gan", subset="Manual", architecture="GAN", task="unconditional", **none)
    commercial = builder.generator("company/painter", subset="Commercial", architecture="Commercial", **none)
    imported = builder.generator(
        *("others/gigagan", None), subset="Manual", architecture="GAN", status="incompatible", reason="imported", **none
    )
    by_hand = builder.generator("manual/cascade", subset="Manual", lineage=("lab/prior",), base_model="lab/prior")
    cousin = builder.generator("org/cousin", lineage=("lab/prior",), base_model="lab/prior")
    for photo in (*photos[:4], *locked[:2]):
        builder.sample(tuned, photo)
    for _ in range(3):
        builder.sample(gan, None)
    for photo in (photos[4], *locked[2:5], photos[0]):
        builder.sample(commercial, photo, **{**IMPORTED, "origin": "delivered"})
    for photo in photos[5:7]:
        builder.sample(imported, photo, **IMPORTED)
    builder.sample(imported, None, **IMPORTED | {"real_source": "coco"})
    # One of its prompts is of a photograph for evaluation.
    for photo in (photos[0], photos[11], photos[2]):
        builder.sample(plain, photo)
    builder.sample(by_hand, photos[7])
    builder.sample(by_hand, photos[8])
    builder.sample(cousin, photos[9])
    builder.sample(tuned, photos[10])
    # The same picture as one of another generator.
    builder.sample(imported, None, content=builder.picture("org/tuned", 3), **IMPORTED | {"real_source": "coco"})
    return builder.write()


HELD = ("subset=Commercial", "name=others/gigagan", "name=manual/cascade")


@pytest.fixture
def study(builder: Builder) -> Workspace:
    return _study(builder)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, Built]:
    """It with its manifest in the full edition, which tests only read."""
    builder = Builder(Workspace.open(tmp_path_factory.mktemp("full") / "workspace"))
    return builder, _build(_study(builder))


def _sets(workspace: Workspace) -> dict[str, list[EvaluationRow]]:
    rows = records.read(evaluation_path(workspace), EvaluationRow)
    return {name: [row for row in rows if row.evaluation_set == name] for name in ("PublicEval", "comprehensive")}


def _ancestors(entry: CatalogEntry) -> set[str]:
    return {entry.model_name, *entry.lineage, *([entry.base_model] if entry.base_model else [])}


def _build(workspace: Workspace, **options: object) -> Built:
    return build(workspace, BuildOptions(holdout=HELD, **options))  # type: ignore[arg-type]


def test_an_evaluation_set_shares_nothing_with_training(full: tuple[Builder, Built]) -> None:
    builder, _ = full
    study = builder.workspace
    rows, entries = rows_of(study), {entry.model_name: entry for entry in builder.catalog}
    of = {split: [row for row in rows if row.split == split] for split in (TRAIN, TEST)}
    generated = {split: [row for row in of[split] if row.label == 1] for split in of}
    assert {row.model_name for row in generated[TEST]} >= {"company/painter", "others/gigagan", "manual/cascade"}
    assert {row.model_name for row in generated[TRAIN]} == {"manual/gan", "org/plain"}
    assert {row.model_name: row.split for row in rows if row.label == 1 and row.split is None}.keys() == {
        *("org/tuned", "org/cousin", "org/plain")  # an equal picture, an ancestor, and the prompt of one image
    }
    names = {split: {str(row.model_name) for row in generated[split]} for split in of}
    assert names[TRAIN].isdisjoint(names[TEST])
    ancestors = {split: {one for name in names[split] for one in _ancestors(entries[name])} for split in of}
    assert ancestors[TRAIN].isdisjoint(ancestors[TEST])
    prompts = {prompt.prompt_id: prompt for of_source in builder.prompts.values() for prompt in of_source}
    kept = {(row.model_name, row.index): row.split for row in rows if row.label == 1}
    real: dict[str, set[str | None]] = {TRAIN: set(), TEST: set()}
    texts: dict[str, set[str | None]] = {TRAIN: set(), TEST: set()}
    for samples in builder.samples.values():
        for sample in samples:
            split = kept.get((sample.model_name, sample.index))
            if split in real and sample.prompt_id is not None:
                real[split].add(prompts[sample.prompt_id].real_sha256)
                texts[split].add(prompts[sample.prompt_id].prompt)
    for split in of:
        real[split] |= {row.sha256 for row in of[split] if row.label == 0}
    assert real[TEST]
    assert real[TRAIN]
    assert real[TRAIN].isdisjoint(real[TEST])
    assert texts[TRAIN].isdisjoint(texts[TEST])
    hashes = {split: {row.sha256 for row in of[split]} for split in of}
    assert hashes[TRAIN].isdisjoint(hashes[TEST])
    # The lists of pairs name nothing else.
    for pairs in _sets(study).values():
        assert pairs
        for row in pairs:
            assert row.generator not in names[TRAIN]
            assert {row.sha256, row.real_sha256}.isdisjoint(hashes[TRAIN] | real[TRAIN])  # type: ignore[operator]


def test_the_public_set_has_real_images_that_may_be_passed_on_and_the_other_one_those_of_the_prompts(
    full: tuple[Builder, Built],
) -> None:
    builder, built = full
    study = builder.workspace
    sets = _sets(study)
    assert all(row.redistributable for row in sets["PublicEval"])
    beside = {(row.generator, row.index): row for row in sets["comprehensive"]}
    generated = {(row.generator, row.index): row for row in rows_of(study) if row.label == 1 and row.split == TEST}
    for key, row in generated.items():
        if row.real_sha256 is not None:
            assert (beside[key].real_sha256, beside[key].paired_by) == (row.real_sha256, "prompt")
    assert {row.paired_by for row in beside.values() if generated[row.generator, row.index].real_sha256 is None} <= {
        *("source", "size")
    }
    lines = list(built.evaluation.lines())
    assert lines[0].startswith(f"PublicEval: {len(sets['PublicEval'])} of {len(generated)} generated images")


def test_no_real_image_is_beside_two_images_of_one_generator(full: tuple[Builder, Built]) -> None:
    for pairs in _sets(full[0].workspace).values():
        keys = [(row.generator, row.real_sha256) for row in pairs]
        assert len(keys) == len(set(keys))


def test_the_public_edition_lists_what_is_to_be_fetched_and_pairs_the_same_and_without_a_holdout_there_is_no_list(
    study: Workspace, full: tuple[Builder, Built]
) -> None:
    in_full = _sets(full[0].workspace)
    allowed = ("family=openrail", "family=proprietary", "family=unknown", "family=open")
    built = _build(study, edition="public", license_allow=allowed)
    public = _sets(study)
    assert [(row.sha256, row.real_sha256) for row in public["comprehensive"]] == [
        (row.sha256, row.real_sha256) for row in in_full["comprehensive"]
    ]
    listed = {row.real_sha256 for row in records.read(withheld_path(study), WithheldRow)}
    fetched = {row.real_sha256 for row in public["comprehensive"] if not row.in_manifest}
    assert fetched
    assert fetched <= listed
    assert built.evaluation.to_fetch == len(fetched)
    assert all(row.in_manifest for row in public["PublicEval"])
    build(study, BuildOptions())
    assert not evaluation_path(study).exists()


def test_as_many_real_images_that_may_be_passed_on_are_chosen_where_the_public_set_is_wanted(builder: Builder) -> None:
    locked = [builder.real("laion", number, redistributable=False) for number in range(100, 110)]
    for number in range(30):
        builder.real("coco", number)
    held = builder.generator(
        "company/painter", subset="Commercial", architecture="Commercial", lineage=(), base_model=None
    )
    tuned = builder.generator("org/tuned")
    for prompt in locked[:8]:
        builder.sample(held, prompt)
    for prompt in (builder.prompts["coco"][0], *locked[8:]):
        builder.sample(tuned, prompt)
    workspace = builder.write()
    options = BuildOptions(holdout=("subset=Commercial",))
    assert sum(build(workspace, options).evaluation.pairs["PublicEval"].values()) < 8
    wanted = BuildOptions(holdout=("subset=Commercial",), public_evaluation=True)
    assert sum(build(workspace, wanted).evaluation.pairs["PublicEval"].values()) == 8
    rows = rows_of(workspace)
    assert not {row.sha256 for row in rows if row.split == TRAIN} & {row.sha256 for row in rows if row.split == TEST}


def test_holdouts_name_a_subset_or_the_generators_of_files(study: Workspace, tmp_path: Path) -> None:
    (tmp_path / "some.toml").write_text(
        '["others/gigagan"]\nkind = "import"\narchitecture = "GAN"\n'
        '["study/painter"]\nkind = "import"\narchitecture = "Other"\nlink = "https://huggingface.co/company/painter"\n'
    )
    build(study, BuildOptions(holdout=(f"file={tmp_path}",)))
    held = {row.generator for row in rows_of(study) if row.split == TEST and row.label == 1}
    assert held == {"others/gigagan", "company/painter"}
    recorded = pq.read_schema(study.manifest / "manifest.parquet").metadata[b"community_forensics"].decode()
    assert "names=company/painter,others/gigagan,study/painter" in recorded
    with pytest.raises(UsageError, match="the subsets are Systematic, Manual, Commercial"):
        BuildOptions(holdout=("subset=commercial",))
    with pytest.raises(UsageError, match=r"is no TOML file of generators"):
        BuildOptions(holdout=(f"file={tmp_path / 'none.toml'}",))
