"""A Hub, and mirrors of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from localhub.process import HubProcess
from tests.hubs import fill

WEIGHTS = bytes(range(251)) * 4_000
READER, WRITER = "hf_upstream_reader", "hf_upstream_writer"
NAMES = ("zoo/model", "zoo/gated", "zoo/secret")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """The Hub that is mirrored."""
    directory = tmp_path_factory.mktemp("upstream")
    files = {
        "README.md": b"---\nlicense: mit\n---\n",
        "config.json": b"{}",
        "unet/w.safetensors": WEIGHTS,
        "empty": b"",
    }
    fill(directory, "zoo/model", files, downloads=500, likes=7)
    fill(directory, "zoo/other", {"again.safetensors": WEIGHTS, "o.bin": b"other"}, downloads=3)
    fill(directory, "zoo/gated", {"w.bin": b"gated weights"}, gated="auto")
    fill(directory, "zoo/secret", {"w.bin": b"secret weights"}, private=True)
    fill(directory, "zoo/table", {"data.csv": b"a,b\n1,2\n"}, kind="dataset")
    with HubProcess(directory, tokens=[f"reader={READER}:read", f"writer={WRITER}:write"]) as running:
        yield running


@pytest.fixture
def make_mirror(upstream: HubProcess, tmp_path: Path) -> Iterator[Callable[..., HubProcess]]:
    """Starts mirrors; options of `cf-hub serve` may follow."""
    upstream.clear_requests()
    with ExitStack() as stack:

        def make(
            *arguments: str,
            endpoint: str | None = None,
            directory: Path = tmp_path / "mirror",
            tokens: tuple[str, ...] = (),
        ) -> HubProcess:
            options = ["--mirror", "--upstream", endpoint or upstream.endpoint, *arguments]
            return stack.enter_context(
                HubProcess(directory, arguments=options, tokens=tokens, request_log=tmp_path / "requests.jsonl")
            )

        yield make
    upstream.clear_faults()


@pytest.fixture
def mirror(make_mirror: Callable[..., HubProcess]) -> HubProcess:
    return make_mirror()


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    """A client that follows nothing and knows no token."""
    with httpx2.Client(trust_env=False, timeout=30) as one:
        yield one


def away(hub: HubProcess) -> None:
    """From now on the Hub answers nothing."""
    hub.fail("reset", path=".*", after=0)


def asked(hub: HubProcess) -> list[str]:
    """The methods and paths of the requests that came to a Hub."""
    return [f"{row['method']} {row['path']}" for row in hub.requests()]


def commit_of(hub: HubProcess, name: str) -> str:
    """The commit of a repository's main branch."""
    from localhub.store import Store

    store = Store(hub.directory)
    return store.repo("model", name).head
