"""Which device is tested, the pipelines on the disk, and the figures that are printed at the end."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import pytest_sessionfinish, pytest_unconfigure
from tests_gpu import pipelines
from tests_gpu.child import Child

__all__ = ["pytest_sessionfinish", "pytest_unconfigure"]

#: As of automake's tests: what was to be tested is not there.
NOTHING_TESTED = 77
#: What to record a figure with: what was measured, and the value with its unit.
Record = Callable[[str, str], None]

_FIGURES = pytest.StashKey[list[tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    import torch

    if "TEST_GPU_DEVICE" not in os.environ and not torch.cuda.is_available():
        why = "this torch is built without CUDA" if not torch.backends.cuda.is_built() else "torch finds none"
        pytest.exit(f"no GPU is at hand ({why}): nothing was tested, and nothing counts as passed", NOTHING_TESTED)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.stash[_FIGURES]:
        return
    terminalreporter.section("figures for docs/performance.md")
    lines = [f"| {what} | {value} |" for what, value in (*_machine(), *config.stash[_FIGURES])]
    terminalreporter.write_line("\n".join(["| what | figure |", "|---|---|", *lines]))
    if _device() == "cpu":
        terminalreporter.write_line("On a CPU, with small sizes: the tests were tried, no GPU was tested.", red=True)


def _device() -> str:
    return os.environ.get("TEST_GPU_DEVICE", "cuda:0")


def _machine() -> list[tuple[str, str]]:
    import diffusers
    import torch

    name = "CPU" if _device() == "cpu" else torch.cuda.get_device_name(_device())
    built = f"torch {torch.__version__}, CUDA {torch.version.cuda}, diffusers {diffusers.__version__}"
    return [("device", name), ("libraries", built)]


@pytest.fixture(scope="session")
def device() -> str:
    """The device that is tested."""
    return _device()


@pytest.fixture(scope="session")
def gpu(device: str) -> bool:
    """Whether that is a GPU: only then is asserted what only a GPU can show."""
    return device != "cpu"


@pytest.fixture(scope="session")
def record(pytestconfig: pytest.Config) -> Record:
    """Records a figure."""
    return lambda what, value: pytestconfig.stash[_FIGURES].append((what, value))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, device: str) -> Path:
    """The folder with all pipelines, and the safety checker in `checker`."""
    folder = tmp_path_factory.mktemp("weights")
    pipelines.checker(folder / "checker", device)
    pipelines.tiny(folder / "tiny")
    pipelines.tiny_flux(folder / "tiny-flux")
    pipelines.asserting(folder / "asserting")
    return folder


@pytest.fixture(scope="session")
def stable_diffusion(weights: Path, device: str) -> Path:
    """A random pipeline of the size of Stable Diffusion 1.5, in float16."""
    return pipelines.stable_diffusion(weights / "stable-diffusion", device)


@pytest.fixture(scope="session")
def flux(weights: Path, device: str) -> Path:
    """A random pipeline with the widths of Flux and fewer layers, in bfloat16."""
    return pipelines.flux(weights / "flux", device)


@pytest.fixture
def start(weights: Path, device: str, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts a child as `cf-sample` does; it is ended with the test."""
    children: list[Child] = []

    def started(on: str = device, memory: int | None = None) -> Child:
        folder = tmp_path / f"child-{len(children)}"
        children.append(Child(weights, on, folder, memory))
        return children[-1]

    yield started
    for child in children:
        child.close()
