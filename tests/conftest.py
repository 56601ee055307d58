"""What all tests share: nothing leaves this machine, and nothing of the user's own Hub account is seen."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

GUARD = Path(__file__).parent / "guard"


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the environment that this process and all its children inherit."""
    if "CF_TESTS_NETWORK_LOG" not in os.environ:
        scratch = Path(tempfile.mkdtemp(prefix="cf-tests-"))
        os.environ["CF_TESTS_NETWORK_LOG"] = str(scratch / "refused-connections")
        os.environ["HF_HOME"] = str(scratch / "hf-home")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])])
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "CF_WORKSPACE", "PYTHONDONTWRITEBYTECODE"):
        os.environ.pop(name, None)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1,::1"
    remember_no_agents()
    sys.path.insert(0, str(GUARD))
    # Python's own sitecustomize, if there is one, was imported at start; ours has to be loaded by its path.
    exec(
        compile((GUARD / "sitecustomize.py").read_text(), str(GUARD / "sitecustomize.py"), "exec"),
        {"__name__": "guard"},
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The demo first: it is the longest file, and should not be what everybody waits for at the end."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


def remember_no_agents() -> None:
    """Answer beforehand what huggingface_hub asks the real Hub once a day, whatever endpoint it is given."""
    notes = Path(os.environ["HF_HOME"]) / ".agent_harnesses.json"
    notes.parent.mkdir(parents=True, exist_ok=True)
    notes.write_text('{"standardEnvVars": [], "harnesses": {}}')


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when any process, however deep, tried to leave this machine."""
    log = Path(os.environ["CF_TESTS_NETWORK_LOG"])
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and log.exists():
        print(f"\nconnections that were refused, none of which a test may try:\n{log.read_text()}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
