"""The evaluation set of the study's layout, evaluated as its readers do: average precision of each `model_name`."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from manifests.building import build
from manifests.manifest import manifest_path
from manifests.options import BuildOptions
from manifests.publishing.card import write_card
from manifests.publishing.evaluation import EvaluationSet, evaluate_by_generator
from manifests.publishing.layouts import layout_of
from manifests.publishing.packing import pack_shards
from manifests.publishing.pinned import pin_manifest
from manifests.publishing.planning import PlannedShard, empty_shards, plan_shards
from manifests.staged import StagedWorkspace
from tests.manifests.making import Builder, fill
from tests.manifests.publishing.publishing import numbers_of
from workspace.layout import Workspace

STUDY = layout_of("community-forensics")


def held_out(builder: Builder, *names: str) -> Workspace:
    """`fill`'s workspace with more generators, which share their prompts and no ancestor; these are held out."""
    prompts = [builder.real("tests", 300 + number) for number in range(6)]
    for number, (name, images) in enumerate((("org/tester", 3), ("org/prompter", 5), ("org/promptless", 5))):
        task = "unconditional" if name == "org/promptless" else "text-to-image"
        generator = builder.generator(name, base_model=None, lineage=(), task=task)
        for index in range(images):
            builder.sample(generator, prompts[number + index] if task == "text-to-image" else None)
    workspace = builder.write()
    build(workspace, BuildOptions(holdout=tuple(f"name={name}" for name in names)))
    return workspace


def study(workspace: Workspace, folder: Path) -> tuple[StagedWorkspace, list[EvaluationSet], list[PlannedShard]]:
    pinned = pin_manifest(workspace, folder)
    made = evaluate_by_generator(pinned)
    shards = plan_shards(pinned, STUDY, 1 << 30)
    return pinned, made, shards + empty_shards(STUDY, shards)


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[StagedWorkspace, list[PlannedShard], dict[str, pa.Table]]:
    folder = tmp_path_factory.mktemp("evaluation")
    builder = fill(Builder(Workspace.open(folder / "workspace")))
    workspace = held_out(builder, "org/tester", "org/prompter", "org/promptless")
    pinned, _, shards = study(workspace, folder / "pinned")
    (folder / "shards").mkdir()
    packed = pack_shards(pinned, STUDY, shards, folder / "shards")
    return pinned, shards, {shard.split: pq.read_table(path) for shard, path in packed}


def average_precision_by_generator(rows: pa.Table) -> dict[str, float]:
    """As any such evaluation computes it: -1 where a generator has one class only."""
    names = np.array(rows.column("model_name").to_pylist())
    labels = rows.column("label").to_numpy()
    scores = np.random.default_rng(1).random(len(labels))
    found = {}
    for name in np.unique(names):
        of = names == name
        one_class = len(set(labels[of].tolist())) == 1
        found[str(name)] = -1.0 if one_class else float(average_precision_score(labels[of], scores[of]))
    return found


def test_each_generator_of_the_evaluation_set_has_both_classes_in_equal_numbers(published: Any) -> None:
    rows = published[2]["PublicEval"]
    numbers = Counter(zip(rows.column("model_name").to_pylist(), rows.column("label").to_pylist(), strict=True))
    assert numbers == {
        (name, label): images
        for name, images in (("org/tester", 3), ("org/prompter", 5), ("org/promptless", 5))
        for label in (0, 1)
    }
    precisions = average_precision_by_generator(rows)
    assert precisions.keys() == {"org/tester", "org/prompter", "org/promptless"}
    assert 0 <= sum(precisions.values()) / len(precisions) <= 1
    assert min(precisions.values()) >= 0


def test_a_generator_is_beside_the_images_whose_captions_were_its_prompts(published: Any) -> None:
    rows = published[2]["PublicEval"].to_pylist()
    for name in ("org/tester", "org/prompter"):
        generated, real = (
            [row["prompt"] for row in rows if row["model_name"] == name and row["label"] == label] for label in (1, 0)
        )
        assert sorted(generated) == sorted(real)
    assert {row["image_name"] for row in rows if row["label"] == 0 and row["model_name"] == "org/promptless"} <= {
        row["image_name"] for row in rows if row["label"] == 0 and row["model_name"] != "org/promptless"
    }


def test_training_splits_are_as_they_were_and_those_that_readers_name_exist(published: Any, tmp_path: Path) -> None:
    _, shards, tables = published
    assert {name: len(table) for name, table in tables.items()} == {
        "Manual": 4,
        "PublicEval": 26,
        "Real": 9,
        "Systematic": 18,
    }
    assert {row["model_name"] for row in tables["Real"].to_pylist()} == {"PHOTOS", "LOCKED"}
    builder = Builder(Workspace.open(tmp_path / "workspace"))
    builder.sample(builder.generator("org/only"), builder.real("photos", 1))
    build(builder.write())
    pinned, _, alone = study(builder.workspace, tmp_path / "pinned")
    assert {(shard.split, shard.rows) for shard in alone} == {
        ("Systematic", 1),
        ("Real", 1),
        ("Manual", 0),
        ("PublicEval", 0),
    }
    for shard, path in pack_shards(pinned, STUDY, alone, tmp_path):
        table = pq.read_table(path)
        assert (len(table), table.schema) == (shard.rows, STUDY.schema)
    card = write_card("org/name", pinned, STUDY, alone, numbers_of(pinned))
    assert "| `Manual` | 0 | 0 | 0 |" in card
    assert "path: data/PublicEval-*.parquet" in card
    assert 'split="Real+Systematic"' in card
    assert len({shard.path for shard in shards}) == len(shards)


def test_the_card_counts_a_real_image_once_and_rows_as_they_are(published: Any) -> None:
    pinned, shards, tables = published
    card = write_card("org/name", pinned, STUDY, shards, numbers_of(pinned))
    eval_rows = tables["PublicEval"]
    real = {row["image_name"] for row in eval_rows.to_pylist() if row["label"] == 0}
    assert f"| `PublicEval` | 26 | 3 | {len(real)} |" in card
    assert f"and {9 + len(real)} real images" in card
    assert "One real image may be beside several generators" in card


def test_where_real_images_run_out_they_are_repeated_and_it_is_said(tmp_path: Path) -> None:
    builder = fill(Builder(Workspace.open(tmp_path / "workspace")))
    few = builder.generator("org/few", base_model=None, lineage=())
    prompt = builder.real("tests", 500)
    for _ in range(4):
        builder.sample(few, prompt)
    workspace = builder.write()
    build(workspace, BuildOptions(holdout=("name=org/few",)))
    pinned, made, _ = study(workspace, tmp_path / "pinned")
    rows = pq.read_table(manifest_path(pinned), filters=[("split", "==", "test")])
    assert Counter(rows.column("label").to_pylist()) == {0: 4, 1: 4}
    (line,) = [line for evaluation_set in made for line in evaluation_set.lines()]
    assert line.startswith("PublicEval: 3 real rows repeat an image under the same generator, because there is only 1")

    (line,) = EvaluationSet("PublicEval", generated=3, repeated=0, real=0).lines()
    assert line.startswith("PublicEval has no real image")
    assert not list(EvaluationSet("PublicEval", generated=0, repeated=0, real=0).lines())


def test_the_choices_of_the_build_and_all_other_rows_stay(published: Any) -> None:
    pinned, _, _ = published
    original, paired = (pq.read_table(manifest_path(place)) for place in (Workspace(pinned.root), pinned))
    assert original.schema.metadata[b"community_forensics"] == paired.schema.metadata[b"community_forensics"]
    others = [
        [row for row in table.to_pylist() if row["label"] == 1 or row["split"] != "test"]
        for table in (original, paired)
    ]
    assert others[0] == others[1]
