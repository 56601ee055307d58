"""Three generators of thirty-seven are held out: with reserved prompts that takes no image out of training."""

from collections import Counter
from typing import Any

from manifests.building import Built, build
from manifests.manifest import FAKE, REAL, iterate_manifest
from manifests.options import BuildOptions
from samplers.planning.prompting import PromptPool
from samplers.planning.recipe import Recipe
from tests.manifests.making import Builder
from tests.samplers.plans import plan_of
from workspace.layout import Workspace
from workspace.recipe import pin

HELD = [f"org/g{number:02}" for number in (3, 11, 30)]
HOLDOUT = [f"name={name}" for name in HELD]
IMAGES, GENERATORS = 3, 37


def sampled(builder: Builder, **changes: Any) -> Workspace:
    """A workspace in which every generator has the prompts and seeds of its plan."""
    values = {"images": IMAGES, "batch_size": 4, "max_tries": IMAGES, "seed": 0, "steps": None, "prompts": "0" * 64}
    recipe = Recipe(**{**values, "safety_checker": "org/checker@" + "b" * 40, **changes})
    prompts = {one.prompt_id: one for one in [builder.real("photos", number) for number in range(50)]}
    pool = PromptPool(prompts.values(), reservation=recipe.reservation)
    for number in range(GENERATORS):
        generator = builder.generator(f"org/g{number:02}", lineage=(), base_model=None)
        for planned in plan_of(generator, pool, recipe).samples:
            builder.sample(generator, prompts[str(planned.prompt_id)], seed=planned.seed)
    pin(builder.workspace, "sample", recipe.table())
    return builder.write()


def numbers(workspace: Workspace) -> Counter[tuple[int, str | None]]:
    columns = [(batch["label"].to_pylist(), batch["split"].to_pylist()) for batch in iterate_manifest(workspace)]
    return Counter(pair for labels, splits in columns for pair in zip(labels, splits, strict=True))


def said(built: Built, start: str) -> list[str]:
    return [line for line in built.lines() if line.startswith(start)]


def test_a_holdout_takes_no_image_out_of_training_where_prompts_were_reserved(builder: Builder) -> None:
    workspace = sampled(builder, evaluation_prompts=0.15, holdout=HOLDOUT, validation=["name=org/g07"])
    built = build(workspace)
    by_split = numbers(workspace)
    assert all(split is not None for _, split in by_split)
    assert {split: by_split[FAKE, split] for _, split in by_split} == {
        "train": 33 * IMAGES,
        "validation": IMAGES,
        "test": 3 * IMAGES,
    }
    given = " ".join(f"--holdout {text}" for text in HOLDOUT)
    assert said(built, "held out") == [f"held out as when sampling (recipe.toml): {given} --validation name=org/g07"]
    assert said(built, "generators") == ["generators: 33 train, 1 validation, 3 test, 0 in neither"]
    assert said(built, "in neither") == []

    # Others than when sampling: no prompts were reserved for these.
    built = build(workspace, BuildOptions(holdout=("name=org/g00",)))
    assert said(built, "held out") == ["held out as when sampling (recipe.toml): --validation name=org/g07"]
    assert f"(captions were reserved for other generators when sampling: {given}" in said(built, "in neither")[0]


def test_without_reserved_prompts_the_summary_counts_what_a_holdout_takes_away(builder: Builder) -> None:
    workspace = sampled(builder)
    built = build(workspace, BuildOptions(holdout=tuple(HOLDOUT)))
    by_split = numbers(workspace)
    lost = by_split[FAKE, None]
    assert lost > 10
    train, test, neither = (by_split[REAL, split] + by_split[FAKE, split] for split in ("train", "test", None))
    assert said(built, "images") == [f"images: {train} train, {test} test, {neither} in neither"]
    assert said(built, "in neither")[0] == (
        f"in neither: {lost} generated images whose caption, its real image or the same picture is in another split "
        "too (`cf-sample --evaluation-prompts 0.1 --holdout ...` reserves captions for generators that are held out)"
    )
    assert said(built, "held out") == []
