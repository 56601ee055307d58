"""A generator that does not fit saves memory, step by step, and every row has the steps.

The pipelines are real; a hook on a component raises what torch raises when a device has no room for a call.
"""

import dataclasses
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import samplers.child.calling
from samplers.child.calling import Caller, SampledImage
from samplers.child.clock import Clock
from samplers.child.component_cache import ComponentCache
from samplers.child.effective import Effective
from samplers.child.failures import GeneratorError
from samplers.child.loading import Generator, load
from samplers.child.memory import place_on_device
from samplers.child.sampling import Sampling
from samplers.messages import Assignment
from samplers.sample import Sample
from tests.samplers.child.making import Received, assignment, checker, plan, save_stable_diffusion


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stable_diffusion(tmp_path_factory.mktemp("saved") / "model")


def _loaded(folder: Path, device: str = "cpu", memory: str | None = None) -> Generator:
    """`cpu:0` is, like a GPU, no CPU to the loader: it is given 16 bits, and models can be offloaded from it (to the
    CPU, where everything happens to be)."""
    return load(assignment(folder, memory=memory), device)


def _narrow(limit: Callable[[Any], int]) -> Callable[..., None]:
    """A hook of a decoder that holds `limit` images at once."""

    def refuse(decoder: Any, arguments: tuple[Any, ...]) -> None:
        if len(arguments[0]) > limit(decoder):
            raise torch.OutOfMemoryError(f"{len(arguments[0])} images do not fit")

    return refuse


def _tight(pipeline: Any, fits: Callable[[], bool]) -> None:
    """Nothing fits before memory is saved in the way that `fits` knows."""

    def refuse(*_: Any) -> None:
        if not fits():
            raise torch.OutOfMemoryError("1 images do not fit")

    pipeline.vae.decoder.register_forward_pre_hook(refuse)


def _ask(generator: Generator, tries: int = 4, size: int = 4) -> list[SampledImage]:
    wanted = plan("text-to-image", tries=tries)
    return Caller(generator, wanted, size)(wanted.samples)


def test_the_batch_is_halved_before_anything_else(folder: Path) -> None:
    generator = _loaded(folder)
    generator.pipeline.vae.decoder.register_forward_pre_hook(_narrow(lambda _: 2))
    assert [(image.call_size, image.memory) for image in _ask(generator)] == [(2, None)] * 4


def test_then_the_vae_decodes_image_by_image(folder: Path) -> None:
    generator = _loaded(folder)
    _tight(generator.pipeline, lambda: generator.pipeline.vae.use_slicing)
    assert [(image.call_size, image.memory) for image in _ask(generator)] == [(1, "slicing")] * 4


def test_then_models_are_offloaded(folder: Path) -> None:
    generator = _loaded(folder, "cpu:0")
    _tight(generator.pipeline, lambda: hasattr(generator.pipeline.unet, "_hf_hook"))
    images = _ask(generator, tries=2)
    assert [(image.call_size, image.memory) for image in images] == [(1, "offload")] * 2
    usual = _ask(_loaded(folder, "cpu:0"), tries=2, size=1)
    assert all((a.array == b.array).all() for a, b in zip(images, usual, strict=True))


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_then_it_is_given_up(folder: Path, device: str) -> None:
    generator = _loaded(folder, device)
    _tight(generator.pipeline, lambda: False)
    with pytest.raises(GeneratorError, match="1 images do not fit") as caught:
        _ask(generator)
    assert caught.value.status == "out-of-memory"


def test_where_the_machine_has_no_room_for_waiting_models_it_is_given_up(folder: Path) -> None:
    generator = _loaded(folder, "cpu:0")
    _tight(generator.pipeline, lambda: False)

    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory")

    generator.pipeline.enable_model_cpu_offload = full
    with pytest.raises(GeneratorError, match="1 images do not fit") as caught:
        _ask(generator)
    assert caught.value.status == "out-of-memory"


def test_a_batch_that_ends_the_use_of_its_device_is_not_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def end(*_: Any) -> None:
        calls.append(1)
        raise RuntimeError("CUDA error: device-side assert triggered")

    for usable, expected in ((True, 2), (False, 1)):
        calls.clear()
        generator = _loaded(folder)
        generator.pipeline.vae.decoder.register_forward_pre_hook(end)
        monkeypatch.setattr(samplers.child.calling, "works", lambda _, usable=usable: usable)
        with pytest.raises(GeneratorError, match="device-side assert") as caught:
            _ask(generator)
        assert (caught.value.status, len(calls)) == ("sample-failed", expected)


@pytest.mark.parametrize(("device", "memory", "hooked"), [("cpu", "offload", False), ("cpu:0", "offload", True)])
def test_a_resumed_run_starts_with_the_memory_saving_of_before(
    folder: Path, device: str, memory: str, hooked: bool
) -> None:
    generator = _loaded(folder, device, memory)
    assert generator.pipeline.vae.use_slicing
    assert hasattr(generator.pipeline.unet, "_hf_hook") == hooked
    assert generator.memory == ("offload" if hooked else "slicing")


def test_a_pipeline_without_a_vae_has_fewer_steps() -> None:
    from demo.zoo.unconditional import ddim

    pipeline = ddim()
    pipeline.unet.register_forward_pre_hook(_narrow(lambda _: 0))
    wanted = plan()
    with pytest.raises(GeneratorError) as caught:
        Caller(Generator(pipeline, Effective(dtype="float32")), wanted, 4)(wanted.samples)
    assert caught.value.status == "out-of-memory"


def test_the_tensors_of_a_failed_call_are_freed_before_the_next(folder: Path) -> None:
    generator = _loaded(folder)
    held: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def refuse(decoder: Any, arguments: tuple[Any, ...]) -> None:
        alive.append(sum(reference() is not None for reference in held))
        held.append(weakref.ref(arguments[0]))
        if len(arguments[0]) > 1:
            raise torch.OutOfMemoryError("no room")

    generator.pipeline.vae.decoder.register_forward_pre_hook(refuse)
    gc.disable()
    try:
        _ask(generator, tries=4)
    finally:
        gc.enable()
    assert alive[:3] == [0, 0, 0]


def test_a_vae_gets_its_precision_back_after_a_failed_call(folder: Path) -> None:
    generator = _loaded(folder)
    vae = generator.pipeline.vae

    def refuse(decoder: Any, arguments: tuple[Any, ...]) -> None:
        if len(arguments[0]) > 2:
            vae.double()
            raise torch.OutOfMemoryError("no room")

    vae.decoder.register_forward_pre_hook(refuse)
    images = _ask(generator)
    assert vae.dtype == torch.float32
    assert {image.vae_dtype for image in images} == {"float32"}


def _sampled(wanted: Assignment, folder: Path, after: int | None = None) -> list[Sample]:
    """Rows of a run on a device where no call fits without slicing; `after`: it is ended so many decodes in."""
    received = Received()
    sampling = Sampling(wanted, checker(folder), "cpu", Clock(), received, ComponentCache())
    vae, count = sampling._generator.pipeline.vae, 0

    def refuse(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == after:
            raise RuntimeError("the end")
        if not vae.use_slicing:
            raise torch.OutOfMemoryError("no room")

    vae.decoder.register_forward_pre_hook(refuse)
    if after is None:
        sampling.run()
    else:
        with pytest.raises(GeneratorError, match="the end"):
            sampling.run()
    return received.rows


def test_a_resumed_run_gives_the_rows_of_an_uninterrupted_one(folder: Path, tmp_path: Path) -> None:
    wanted = assignment(folder, task="text-to-image", tries=10)
    small = dataclasses.replace(wanted.plan, batch_size=2)
    whole = dataclasses.replace(wanted, plan=small, call_size=2)
    expected = _sampled(whole, tmp_path / "checker")
    assert {(row.batch_size, row.call_size, row.memory) for row in expected} == {(2, 1, "slicing")}
    # Two calls that did not fit, then four batches of two images, and one image more.
    before = _sampled(whole, tmp_path / "checker", after=12)
    assert len(before) == 8
    resumed = dataclasses.replace(
        whole,
        first=8,
        call_size=max(row.call_size or 0 for row in before[-2:]),
        kept=frozenset(str(row.sha256) for row in before),
        memory=before[-1].memory,
    )
    assert before + _sampled(resumed, tmp_path / "checker") == expected


def test_cached_components_are_dropped_for_a_generator_that_does_not_fit(folder: Path, tmp_path: Path) -> None:
    wanted = assignment(folder, task="text-to-image", tries=2)
    cache = ComponentCache()
    judge = checker(tmp_path / "checker")
    first = Sampling(wanted, judge, "cpu", Clock(), Received(), cache)
    first.run()
    first.put_back()
    former = first._generator.pipeline.vae
    # Moving to the device fails once, as where the room is taken.
    former.to, moves = _failing(former.to, times=1)
    second = Sampling(wanted, judge, "cpu", Clock(), Received(), cache)._generator.pipeline
    assert second.vae is not former
    assert len(moves) == 1


def _failing(method: Callable[..., Any], times: int) -> tuple[Callable[..., Any], list[None]]:
    calls: list[None] = []

    def failing(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        if len(calls) <= times:
            raise torch.OutOfMemoryError("no room")
        return method(*arguments, **named)

    return failing, calls


def test_an_offloaded_generator_puts_no_component_back(folder: Path) -> None:
    generator = _loaded(folder)
    cache = ComponentCache()
    place_on_device(generator.pipeline, "cpu:0", "offload")
    cache.put_back(generator.handles)
    again = load(assignment(folder), "cpu", cache).pipeline
    assert again.unet is not generator.pipeline.unet
    assert again.vae is not generator.pipeline.vae
