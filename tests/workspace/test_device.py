"""The device is tried before the first generator, and after each failure; what CUDA would answer is stood in for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import workspace.device
from workspace.device import DeviceError, chosen_device, works


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the driver of a GPU makes; where it exists, torch was built for that driver."""
    driver = tmp_path / "version"
    monkeypatch.setattr(workspace.device, "_DRIVERS", (driver,))
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return driver


def _answer(monkeypatch: pytest.MonkeyPatch, compute: Callable[..., Any]) -> None:
    monkeypatch.setattr(workspace.device, "_compute", compute)


def _refuse(device: str) -> None:
    raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with ...")


def test_a_machine_without_a_gpu_computes_on_its_cpu(machine: Path) -> None:
    assert chosen_device("auto") == "cpu"
    assert works("cpu")


def test_a_driver_that_torch_cannot_use_stops_the_run_instead_of_weeks_on_the_cpu(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.touch()
    with pytest.raises(DeviceError, match=r"--device auto cannot be used: .*; --device cpu uses the CPU"):
        chosen_device("auto")
    assert chosen_device("cpu") == "cpu"
    for hidden in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert chosen_device("auto") == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1c9f8a2e")
    with pytest.raises(DeviceError):
        chosen_device("auto")


def test_a_gpu_without_kernels_is_noticed_before_the_first_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    _answer(monkeypatch, _refuse)
    for wanted in ("auto", "cuda:1"):
        with pytest.raises(DeviceError, match=f"--device {wanted} cannot be used: .*CUDA error: no kernel image"):
            chosen_device(wanted)
    _answer(monkeypatch, lambda device: None)
    assert (chosen_device("auto"), chosen_device("cuda:1")) == ("cuda:0", "cuda:1")


def test_an_error_that_ends_the_device_for_the_process_is_seen_at_the_next_computation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _answer(monkeypatch, _refuse)
    assert not works("cuda:0")


@pytest.mark.parametrize("wanted", ["meta", "mps", "cpu:0", "gpu", "cuda:x", ""])
def test_a_device_that_is_neither_a_cpu_nor_cudas_is_refused(wanted: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {wanted} cannot be used: "):
        chosen_device(wanted)
