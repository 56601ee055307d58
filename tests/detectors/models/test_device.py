"""A detector that computes on the CPU because no GPU was found says so."""

import pytest
import torch

from detectors.models import device
from detectors.models.device import chosen_device
from workspace.errors import UsageError


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device._say_slow.cache_clear()


def test_that_no_gpu_was_found_is_said_once(no_gpu, capsys):
    assert {chosen_device(), chosen_device()} == {"cpu"}
    assert capsys.readouterr().err.count("no GPU was found") == 1


def test_who_asks_for_the_cpu_is_told_nothing(no_gpu, capsys):
    assert chosen_device("cpu") == "cpu"
    assert capsys.readouterr().err == ""


def test_only_the_first_of_several_processes_says_it(no_gpu, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert chosen_device() == "cpu"
    assert capsys.readouterr().err == ""


def test_a_device_that_does_not_compute_is_one_line(no_gpu):
    with pytest.raises(UsageError, match="--device cuda:63 cannot be used: "):
        chosen_device("cuda:63")
