"""`--devices` names devices of this machine as CUDA counts them, or says what there is."""

from collections.abc import Callable

import pytest

from engines.devices import check_devices, devices_of, visible_gpus
from workspace.errors import UsageError


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda gpus: monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)


@pytest.mark.parametrize(
    ("visible", "text", "devices"),
    [
        ("0,1,2,3", "all", ("cuda:0", "cuda:1", "cuda:2", "cuda:3")),
        # Counted among the visible ones, whatever they are called.
        ("GPU-8f1c,5,MIG-77aa", "0,2", ("cuda:0", "cuda:2")),
        ("5", "all", ("cuda:0",)),
        ("", "cpu:3", ("cpu", "cpu", "cpu")),
    ],
)
def test_the_devices_that_are_named(
    show: Callable[[str], None], visible: str, text: str, devices: tuple[str, ...]
) -> None:
    show(visible)
    assert devices_of(text) == devices


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles"])
def test_hidden_gpus_are_not_there(show: Callable[[str], None], hidden: str) -> None:
    show(hidden)
    assert visible_gpus() == []
    with pytest.raises(UsageError, match="has no GPU, or CUDA_VISIBLE_DEVICES hides them; --devices cpu:2"):
        devices_of("all")


def test_a_gpu_that_does_not_exist_is_refused_with_those_that_do(show: Callable[[str], None]) -> None:
    show("3,4")
    with pytest.raises(UsageError, match=r"there is no GPU 2; this machine has 2, counted from 0"):
        devices_of("0,2")


@pytest.mark.parametrize("text", ["", "cpu", "cpu:0", "cpu:-1", "cuda:0", "0;1", "0,", "ALL", "99999", "1,1"])
def test_any_other_text_is_refused_before_anything_is_looked_for(text: str) -> None:
    with pytest.raises(UsageError, match="--devices"):
        check_devices(text)
