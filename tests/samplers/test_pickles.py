"""`--allow-pickle`: pickles are sampled only with it, and loaded with `weights_only` even then."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from crawler.catalog import CatalogEntry
from localhub.store import Store
from samplers.assignment.pending import find_pending
from samplers.child.calling import Caller
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from samplers.sample import read_samples
from tests.samplers.child.making import assignment, save_stable_diffusion
from tests.samplers.conftest import PIXELS
from tests.samplers.hostile import PAYLOAD, pickled_as
from tests.samplers.inputs import build, entry_of
from workspace.errors import UsageError
from workspace.layout import Workspace

MakeWorkspace = Callable[..., Workspace]


def _pickle(folder: Path) -> Path:
    """Every weight of a generator as a pickle, as in 2022."""
    for path in folder.rglob("*.safetensors"):
        name = "pytorch_model.bin" if path.name == "model.safetensors" else f"{path.stem}.bin"
        torch.save(load_file(path), path.with_name(name))
        path.unlink()
    return folder


@pytest.fixture
def pickled(store: Store, tmp_path: Path) -> list[CatalogEntry]:
    """Rows as the crawl writes them: a harmless generator, and for each library one whose pickle has code."""
    from demo.zoo.unconditional import ddim

    for name in ("honest", "evil"):
        ddim().save_pretrained(tmp_path / name)
        _pickle(tmp_path / name)
    pickled_as("unet/diffusion_pytorch_model.bin")(tmp_path / "evil")
    pickled_as("text_encoder/pytorch_model.bin")(_pickle(save_stable_diffusion(tmp_path / "evil-words")))
    entries = []
    for rank, name in enumerate(("honest", "evil", "evil-words"), start=2):
        build(store, f"pickles/{name}", tmp_path / name)
        verdict = {"status": "incompatible", "reason": "pickle-only", "reason_detail": "unet/ has pickles"}
        entries.append(entry_of(store, f"pickles/{name}", rank, **verdict))
    return entries


def test_without_allow_pickle_pickles_are_not_sampled(
    pickled: list[CatalogEntry], store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(entry_of(store, PIXELS), *pickled)
    pending = find_pending(workspace, options)
    assert [one.entry.model_name for one in pending.generators] == [PIXELS]
    with pytest.raises(UsageError, match=r"pickle-only: .*; --allow-pickle samples it"):
        find_pending(workspace, dataclasses.replace(options, only=("pickles/honest",)))


def test_with_allow_pickle_they_are_loaded_as_weights_only_and_the_recipe_has_it(
    pickled: list[CatalogEntry], options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    workspace = make_workspace(*pickled)
    outcomes = sample(workspace, dataclasses.replace(options, allow_pickle=True)).outcomes
    assert [outcome.status for outcome in outcomes] == ["done", "load-failed", "load-failed"]
    assert len(read_samples(workspace, "pickles/honest")) == 2
    assert not [line for outcome in outcomes for line in outcome.stderr if PAYLOAD in line]
    with pytest.raises(UsageError, match="allow_pickle was True, now False"):
        sample(workspace, options)


def test_adapters_are_sampled_with_allow_pickle_where_their_base_is_known(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    base = entry_of(store, PIXELS)
    verdict = {"status": "incompatible", "reason": "pickle-only", "task": "text-to-image", "base_model": PIXELS}
    about = {**verdict, "kind": "textual-inversion", "base_revision": base.revision}
    known = entry_of(store, PIXELS, 2, **about, base_files=base.files)
    known = dataclasses.replace(known, model_name="pickles/known")
    unknown = dataclasses.replace(entry_of(store, PIXELS, 3, **about), model_name="pickles/unknown")
    pending = find_pending(make_workspace(known, unknown), dataclasses.replace(options, allow_pickle=True))
    assert [one.entry.model_name for one in pending.generators] == ["pickles/known"]


def test_allow_pickle_does_not_allow_other_incompatible_generators(
    store: Store, options: SampleOptions, make_workspace: MakeWorkspace
) -> None:
    rows = [
        entry_of(store, PIXELS, 1, status="incompatible", reason="gated"),
        dataclasses.replace(
            entry_of(store, PIXELS, 2, status="incompatible", reason="pickle-only"), model_name="pickles/x", files=()
        ),
    ]
    assert find_pending(make_workspace(*rows), dataclasses.replace(options, allow_pickle=True)).generators == []


def test_pickles_give_the_same_pixels_as_safetensors(tmp_path: Path) -> None:
    plain = save_stable_diffusion(tmp_path / "plain")
    folders = {False: plain, True: _pickle(shutil.copytree(plain, tmp_path / "pickled"))}
    given = []
    for allowed, folder in folders.items():
        wanted = assignment(folder, task="text-to-image", tries=2)
        wanted = dataclasses.replace(wanted, plan=dataclasses.replace(wanted.plan, allow_pickle=allowed))
        given.append([image.array for image in Caller(load(wanted, "cpu"), wanted.plan, 2)(wanted.plan.samples)])
    assert np.array_equal(*given)


def test_the_child_refuses_pickles_without_allow_pickle(tmp_path: Path) -> None:
    folder = _pickle(save_stable_diffusion(tmp_path / "model"))
    with pytest.raises(GeneratorError, match="safetensors") as caught:
        load(assignment(folder, task="text-to-image"), "cpu")
    assert caught.value.status == "load-failed"
