"""Training detectors: the runs of a model, one for each fold of a protocol."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from detectors.data.index import Index
from detectors.kept_fold import keep_fold
from detectors.models.backbones import SPECTRUM
from detectors.models.device import chosen_device
from detectors.models.heads import train_head
from detectors.models.registry import ModelSpec, resolve
from detectors.models.shortcut import train_shortcut
from detectors.models.weight_files import Located, located
from detectors.options import TrainOptions
from detectors.protocols.folds import Fold, folds
from detectors.run import Recipe, Run, Setting
from detectors.training.log import TrainingStep
from engines.claims import claims_of
from workspace import records
from workspace.atomic import atomic_path
from workspace.errors import CommunityForensicsError, UsageError
from workspace.extras import require_extra
from workspace.identity import number_of
from workspace.layout import Workspace
from workspace.shard import Shard

if TYPE_CHECKING:
    from detectors.training.loop import Trained

#: Settings that name weights.
_WEIGHTS = ("start", "weights", "backbone")
_NONE = ("", "none", SPECTRUM)


@dataclass(frozen=True)
class Prepared:
    """A run that can be trained, and where the weights that it needs are."""

    run: Run
    spec: ModelSpec
    weights: Mapping[str, Located]


def prepare(workspace: Workspace, index: Index, fold: Fold, model: str, options: TrainOptions) -> Prepared:
    """The run of a model on a fold. Weights of the Hub are pinned to their commit, and downloaded.

    Raises `UsageError` for an unknown model, setting or file, `HubError` when the Hub does not give the weights.
    """
    spec = resolve(model, options.settings)
    if spec.settings.get("weights") and not spec.settings.get("freeze"):
        # A checkpoint of the whole network: what training would start from is not needed.
        spec = replace(spec, settings={**spec.settings, "start": "none"})
    weights = {
        key: located(str(value), options.hub, setting=key)
        for key in _WEIGHTS
        if (value := spec.settings.get(key, "")) not in _NONE
    }
    spec = replace(spec, settings={**spec.settings, **{key: found.name for key, found in weights.items()}})
    run = Run.open(workspace, recipe_of(index, fold, spec, options))
    if run.recipe.is_of_study:
        keep_fold(run, fold)
    return Prepared(run, spec, weights)


def recipe_of(index: Index, fold: Fold, spec: ModelSpec, options: TrainOptions) -> Recipe:
    """What the run of a model on a fold is made from."""
    settings: dict[str, Setting] = {key: value for key, value in spec.settings.items() if key != "steps"}
    return Recipe(
        model=spec.name,
        protocol=fold.protocol,
        fold=fold.name,
        rows=fold.digest(index),
        data=index.digests,
        seed=options.seed,
        steps=(options.steps or spec.steps) if spec.steps else 0,
        settings=settings,
    )


def trained(workspace: Workspace, index: Index, fold: Fold, model: str, options: TrainOptions) -> Run:
    """The finished run of a model on a fold: found, continued or made. Errors as `prepare` and `train`."""
    prepared = prepare(workspace, index, fold, model, options)
    if not prepared.run.is_finished:
        try:
            train(prepared, workspace, index, fold, options)
        except UsageError:
            prepared.run.remove_unless_begun()
            raise
    return prepared.run


def train(prepared: Prepared, workspace: Workspace, index: Index, fold: Fold, options: TrainOptions) -> None:
    """Train a run to its end, from the state in which it was left.

    Raises `CommunityForensicsError` where another process trains it, and where training fails; `KeyboardInterrupt` when
    it was interrupted, after its state was saved.
    """
    run, spec = prepared.run, prepared.spec
    with _claimed(workspace, run):
        if run.is_finished:
            return
        if spec.kind == "trees":
            train_shortcut(run, index, fold)
        elif spec.kind == "network":
            _train_network(prepared, index, fold, options)
        else:
            found = prepared.weights.get("backbone")
            place = str(found.path) if found else str(spec.settings["backbone"])
            train_head(run, workspace, index, fold, spec, options.device, options.hub, place)


def _train_network(prepared: Prepared, index: Index, fold: Fold, options: TrainOptions) -> None:
    from detectors.models.networks.building import seeded
    from detectors.training.loop import Training

    run, spec = prepared.run, prepared.spec
    files = {key: found.file for key, found in prepared.weights.items()}
    network = seeded(spec, number_of("weights", run.recipe.seed), files.get("start"), files.get("weights"))
    training = Training(
        spec,
        network,
        index,
        fold,
        seed=run.recipe.seed,
        steps=run.recipe.steps,
        device=_device(options.device),
        workers=options.workers,
        save_seconds=60 * options.save_minutes,
    )
    result = training.run(run.state, run.name)
    if training.accelerator.is_main_process:
        _finish(prepared, result)
    training.accelerator.wait_for_everyone()


def _finish(prepared: Prepared, result: "Trained") -> None:
    from safetensors.torch import save_file

    run, spec = prepared.run, prepared.spec
    start = prepared.weights.get("start") if spec.settings.get("freeze") else None
    # A frozen backbone is where it was: its weights are not written once more for every run.
    state = {name: value for name, value in result.state.items() if start is None or not name.startswith("backbone.")}
    with atomic_path(run.weights) as temporary:
        save_file(state, temporary)
    records.write(run.training, TrainingStep, result.log)
    described: dict[str, Any] = {
        "model": run.recipe.model,
        "settings": dict(spec.settings),
        "input": spec.input.as_dict(),
        "steps": result.steps,
        "skipped": sum(step.skipped for step in result.log),
        "validation_auroc": result.validation.auroc,
        **result.validation.calibrated(),
    }
    if start is not None:
        described |= {"start": start.name if "/" in start.name else str(start.path), "start_name": start.name}
    run.finish(described)
    run.remove_state()


def _device(wanted: str) -> str:
    """The device; in one of the processes of `accelerate launch` the one that is its own."""
    import torch

    if wanted == "auto" and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        wanted = f"cuda:{os.environ['LOCAL_RANK']}"
    return chosen_device(wanted)


@contextmanager
def _claimed(workspace: Workspace, run: Run) -> Iterator[None]:
    """A block in which no other command trains this run. Of several processes of one command the first one asks."""
    if int(os.environ.get("RANK", "0")):
        yield
        return
    with claims_of(workspace, "detect") as claims, claims.claim(run.name) as claimed:
        if not claimed:
            raise CommunityForensicsError(f"another process trains {run.name}{claims.holder(run.name)}: wait for it")
        yield


def train_folds(workspace: Workspace, model: str, options: TrainOptions) -> Iterator[str]:
    """Train a model on each fold of a protocol that is this shard's; what was done, a line each.

    Errors as `prepare` and `train`.
    """
    require_extra("detect", "cf-detect train")
    resolve(model, options.settings)
    index = Index.open(options.data, workspace, options.hub)
    yield from index.notes()
    chosen = Shard.parse(options.shard).of(folds(index, options.protocol, options.seed, options.kin))
    for fold in chosen:
        yield from fold.lines(index)
    if options.dry_run:
        from detectors.training.forecast import forecast

        yield from forecast(chosen, model, options)
        return
    for fold in chosen:
        run = trained(workspace, index, fold, model, options)
        yield from _about(run, index)


def _about(run: Run, index: Index) -> Iterator[str]:
    described = run.described()
    auroc = described.get("validation_auroc")
    said = "" if auroc is None else f", area under the ROC curve of validation {auroc:.3f}"
    yield f"{run.name}: trained{said}"
    if described.get("skipped"):
        yield f"{run.name}: unreadable images were skipped {described['skipped']} times"
    yield from index.unread_lines()
