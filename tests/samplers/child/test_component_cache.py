"""A generator's images do not depend on what was loaded before it, though what can be shared is loaded once."""

import dataclasses
import gc
import itertools
import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache, fingerprint_of
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from samplers.child.outbox import Outbox
from samplers.child.safety import SafetyChecker
from samplers.child.sampling import Sampling
from samplers.messages import Assignment
from samplers.sample import Sample
from tests.samplers.child.making import Received, assignment, checker, save_inversion, save_lora, save_stable_diffusion
from tests.scale import scaled

SHARED = ("vae", "text_encoder", "tokenizer")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from demo.zoo.components import autoencoder
    from demo.zoo.repository import seeded
    from demo.zoo.stable_diffusion import finetuned, unet

    root = tmp_path_factory.mktemp("generators")
    with seeded("what these generators do not share"):
        return {
            "base": save_stable_diffusion(root / "base"),
            "fine-tune": save_stable_diffusion(root / "fine-tune", unet=finetuned(unet(), 0.5)),
            "another-vae": save_stable_diffusion(root / "another-vae", unet=unet(), vae=autoencoder()),
            "lora": save_lora(root / "lora"),
            "inversion": save_inversion(root / "inversion"),
        }


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> SafetyChecker:
    return checker(tmp_path_factory.mktemp("checker"))


def _assignment(folders: dict[str, Path], name: str, **changes: Any) -> Assignment:
    kinds = {"lora": "lora", "inversion": "textual-inversion"}
    base = folders["base"] if name in kinds else None
    kind = kinds.get(name, "checkpoint")
    wanted = assignment(folders[name], base, task="text-to-image", kind=kind, tries=2, **changes)
    return dataclasses.replace(wanted, plan=dataclasses.replace(wanted.plan, model_name=f"org/{name}"))


def _sampling(
    wanted: Assignment, judge: SafetyChecker, cache: ComponentCache, outbox: Outbox | None = None
) -> Sampling:
    return Sampling(wanted, judge, "cpu", Clock(), outbox or Received(), cache)


def _carry_out(sampling: Sampling) -> None:
    """As the child does, of a generator that does not stay."""
    sampling.run()
    sampling.put_back()


def _sampled(
    folders: dict[str, Path], names: tuple[str, ...], judge: SafetyChecker, **changes: Any
) -> dict[str, tuple[list[Sample], dict[int, bytes]]]:
    cache, found = ComponentCache(), {}
    for name in names:
        received = Received()
        _carry_out(_sampling(_assignment(folders, name, **changes), judge, cache, received))
        found[name] = (received.rows, received.files)
    return found


def test_rows_and_pixels_do_not_depend_on_what_was_loaded_before(
    folders: dict[str, Path], judge: SafetyChecker
) -> None:
    alone: dict[str, tuple[list[Sample], dict[int, bytes]]] = {}
    for name in folders:
        alone |= _sampled(folders, (name,), judge)
    assert len({content for _, files in alone.values() for content in files.values()}) == 2 * len(folders)
    order = ("lora", "base", "inversion", "fine-tune", "another-vae")
    for names in scaled((order,), (order, order[::-1])):
        assert _sampled(folders, names, judge) == alone


def test_shared_components_are_not_loaded_again(folders: dict[str, Path], judge: SafetyChecker, tmp_path: Path) -> None:
    cache = ComponentCache()
    _carry_out(_sampling(_assignment(folders, "base"), judge, cache))
    # The hashes say that these files are the base's; only who opens them finds that they are not.
    folder = shutil.copytree(folders["fine-tune"], tmp_path / "fine-tune")
    wanted = dataclasses.replace(_assignment(folders, "fine-tune"), folder=folder)
    for name in ("vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
        (folder / name).write_bytes(b"no weights")
    load(wanted, "cpu", cache)
    # It was taken, so nothing is left for a second one.
    with pytest.raises(GeneratorError, match=r"vae|text_encoder"):
        load(wanted, "cpu", cache)


def test_one_byte_of_a_configuration_makes_another_component(folders: dict[str, Path], judge: SafetyChecker) -> None:
    cache = ComponentCache()
    base = _sampling(_assignment(folders, "base"), judge, cache)
    _carry_out(base)
    wanted = _assignment(folders, "fine-tune")
    wanted.hashes["vae/config.json"] = "0" * 64
    pipeline = load(wanted, "cpu", cache).pipeline
    former = base._generator.pipeline
    assert pipeline.vae is not former.vae
    assert pipeline.text_encoder is former.text_encoder
    assert pipeline.tokenizer is former.tokenizer
    assert pipeline.scheduler is not former.scheduler


@pytest.mark.parametrize(
    ("name", "changes", "taken_over"),
    [
        ("base", {}, {"vae", "text_encoder", "tokenizer", "unet"}),
        ("fine-tune", {}, {"vae", "text_encoder", "tokenizer"}),
        ("lora", {}, {"vae", "tokenizer"}),
        ("inversion", {}, {"vae", "unet"}),
        ("base", {"memory": "slicing"}, set()),
    ],
)
def test_components_that_may_have_changed_are_not_reused(
    folders: dict[str, Path], judge: SafetyChecker, name: str, changes: dict[str, Any], taken_over: set[str]
) -> None:
    cache = ComponentCache()
    first = _sampling(_assignment(folders, name, **changes), judge, cache)
    _carry_out(first)
    second = load(_assignment(folders, "base"), "cpu", cache).pipeline
    former = first._generator.pipeline.components
    same = {
        part for part, component in second.components.items() if component is not None and component is former[part]
    }
    assert same == taken_over


def test_components_of_a_failed_generator_are_not_reused(folders: dict[str, Path], judge: SafetyChecker) -> None:
    cache = ComponentCache()
    sampling = _sampling(_assignment(folders, "base"), judge, cache)
    former = sampling._generator.pipeline
    hook = former.unet.register_forward_hook(_raise)
    with pytest.raises(GeneratorError, match="it breaks"):
        sampling.run()
    hook.remove()
    second = load(_assignment(folders, "base"), "cpu", cache).pipeline
    assert all(getattr(second, part) is not getattr(former, part) for part in ("unet", *SHARED))


def _raise(*_: Any) -> None:
    raise RuntimeError("it breaks")


def _hook(pipeline: Any) -> None:
    pipeline.vae.decoder.register_forward_hook(lambda *_: None)


def _edit(pipeline: Any) -> None:
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.bias[0] = 1


@pytest.mark.parametrize(
    "change",
    [
        _hook,
        _edit,
        lambda pipeline: pipeline.vae.enable_tiling(),
        lambda pipeline: pipeline.vae.double(),
        lambda pipeline: pipeline.vae.register_to_config(scaling_factor=1.0),
    ],
)
def test_changes_by_a_pipeline_are_detected(
    folders: dict[str, Path], judge: SafetyChecker, change: Callable[[Any], None]
) -> None:
    cache = ComponentCache()
    first = _sampling(_assignment(folders, "base"), judge, cache)
    change(first._generator.pipeline)
    first.put_back()
    second = load(_assignment(folders, "base"), "cpu", cache).pipeline
    assert second.vae is not first._generator.pipeline.vae
    assert second.unet is first._generator.pipeline.unet


def test_the_fingerprint_is_unchanged_after_use_and_moves(folders: dict[str, Path]) -> None:
    pipeline = load(_assignment(folders, "base"), "cpu").pipeline
    before = [fingerprint_of(getattr(pipeline, name)) for name in SHARED]
    pipeline("a cat", num_inference_steps=1)
    pipeline.vae.double().float()
    assert [fingerprint_of(getattr(pipeline, name)) for name in SHARED] == before


def test_only_components_of_the_latest_generator_stay_in_memory(folders: dict[str, Path], judge: SafetyChecker) -> None:
    cache = ComponentCache()
    alive: list[weakref.ref[Any]] = []

    def holding() -> Iterator[int]:
        for name in ("base", "fine-tune", "another-vae", "base"):
            sampling = _sampling(_assignment(folders, name), judge, cache)
            parts = sampling._generator.pipeline.components.values()
            alive.extend(weakref.ref(part) for part in parts if isinstance(part, torch.nn.Module))
            del parts
            _carry_out(sampling)
            del sampling
            gc.collect()
            yield len({id(reference()) for reference in alive if reference() is not None})

    assert list(itertools.islice(holding(), 4)) == [3, 3, 3, 3]
