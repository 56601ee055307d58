"""What all tests share: nothing leaves this machine, and nothing of the user's own Hub account is seen.

pytest imports this file before the `conftest.py` of any folder below. So the environment is set here at import: a
library that is imported later, by whatever file, reads its settings from it.
"""

import atexit
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.scale import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.scale import scaled

if TYPE_CHECKING:
    from localhub.process import HubProcess
    from tests.programs import Programs

GUARD = Path(__file__).parent / "guard"

#: The Hub's libraries and this project read settings, tokens and folders from variables with these prefixes.
PREFIXES = ("HF_", "HUGGING_FACE_", "HUGGINGFACE_", "TRANSFORMERS_", "DIFFUSERS_", "AWS_", "CF_")
#: Variables with these prefixes are the tests' own.
OWN_PREFIXES = ("CF_TESTS_", "CF_SOAK")


def isolate() -> Path | None:
    """Set the environment that this process and all its children inherit; returns the folder made for it.

    None: a parent process has done it. Raises `UsageError` where it is too late.
    """
    if "CF_TESTS_FOLDER" in os.environ:
        return None
    if "huggingface_hub" in sys.modules:
        raise pytest.UsageError("huggingface_hub was imported before tests/conftest.py and knows the user's account")
    folder = Path(tempfile.mkdtemp(prefix="cf-tests-"))
    # A shell starts what runs in its background with Ctrl-C ignored, and every child would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if name.startswith(PREFIXES) and not name.startswith(OWN_PREFIXES):
            del os.environ[name]
    # Without byte code every child would compile all it imports again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["CF_TESTS_FOLDER"] = str(folder)
    os.environ["CF_TESTS_NETWORK_LOG"] = str(folder / "refused-connections")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1,::1"
    os.environ["HF_HOME"] = str(folder / "hf-home")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    # huggingface_hub asks the real Hub for this once a day, whatever endpoint it is given: the answer, beforehand.
    (folder / "hf-home").mkdir()
    (folder / "hf-home" / ".agent_harnesses.json").write_text('{"standardEnvVars": [], "harnesses": {}}')
    return folder


def guard() -> None:
    """Refuse connections that leave this machine, in this process too: it may have started without PYTHONPATH."""
    source = GUARD / "sitecustomize.py"
    exec(compile(source.read_text(), str(source), "exec"), {"__name__": "guard"})


MADE = isolate()
guard()
# No example is timed: how long one takes depends on what else the machine does.
settings.register_profile("tests", parent=settings(), deadline=None, max_examples=scaled(50, 500))
settings.load_profile("tests")
#: How many modules were imported when the garbage collector was told to leave out what there is.
FROZEN = {"modules": 0}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Hide the imported libraries and the collected tests from the garbage collector: they stay until the end, and it
    would visit their million objects again and again for nothing."""
    gc.disable()
    try:
        return (yield)
    finally:
        freeze()
        # What a test leaves is small: the collector need not look for it after each 700 objects.
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """The same with what a test has imported: torch and what is built on it, which many of them import when they need
    it, and whose visit takes a quarter of a second each time that models are freed."""
    result = yield
    if len(sys.modules) >= FROZEN["modules"] + 50:
        gc.collect()  # a cycle that is frozen is never freed
        freeze()
    return result


def freeze() -> None:
    """Hide all that there is now from the garbage collector."""
    gc.freeze()
    FROZEN["modules"] = len(sys.modules)


@pytest.fixture(scope="session", autouse=True)
def _forked_hubs() -> Iterator[None]:
    """No test waits until a new interpreter has imported what a Hub needs."""
    from tests.forked_hub import forked_hubs

    with forked_hubs():
        yield


@pytest.fixture(scope="session")
def small_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator["HubProcess"]:
    """The Hub of the examples and the journeys, made once for both."""
    from tests import small_hub  # imports libraries that few tests need

    with small_hub.small_hub(tmp_path_factory.mktemp("small-hub") / "hub") as hub:
        yield hub


@pytest.fixture(scope="session")
def environment(small_hub: "HubProcess", tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a user of that Hub."""
    from tests.small_hub import environment_of

    return environment_of(small_hub, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def programs(environment: dict[str, str]) -> "Programs":
    """The programs of that user."""
    from tests.programs import Programs

    return Programs(environment)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if any process below it tried to connect to another machine."""
    log = Path(os.environ["CF_TESTS_NETWORK_LOG"])
    if log.exists():
        print(f"\nconnections to other machines, which tests must not open, were refused:\n{log.read_text()}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure() -> None:
    """Remove the folder, in the process that made it."""
    # At the end libraries ask where their objects are; not yet, for pytest still calls the collector, ten times.
    atexit.register(gc.unfreeze)
    if MADE is not None:
        shutil.rmtree(MADE, ignore_errors=True)
