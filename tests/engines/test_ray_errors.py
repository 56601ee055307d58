"""Ray that is not there: one line, soon."""

import socket
import time
from importlib import metadata

import pytest

from engines.ray import RayEngine, passed_on
from workspace import extras
from workspace.errors import UsageError


def test_an_address_where_nothing_listens_is_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(UsageError, match=f"--address 127.0.0.1:{port}: no connection"):
        RayEngine(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["10.0.0.5", "ray://10.0.0.5:10001", "host:port", ":6379", "127.0.0.1:99999999"])
def test_an_address_of_another_form_is_one_line(address: str) -> None:
    with pytest.raises(UsageError, match=r"--address .*(must be HOST:PORT|no connection)"):
        RayEngine(address)


def test_a_server_that_is_no_ray_cluster_is_one_line_within_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.ray._ANSWER_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(UsageError, match="what answers there is no Ray cluster"):
            RayEngine(f"127.0.0.1:{port}")
        assert time.monotonic() - started < 20


def test_without_the_extra_one_line_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "ray":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(extras.metadata, "version", version)
    with pytest.raises(UsageError, match=r"--engine ray needs ray.*pip install 'community-forensics\[ray\]'"):
        RayEngine()


def test_of_the_environment_a_task_gets_the_hub_and_this_projects_settings() -> None:
    environment = {"HF_TOKEN": "hf_x", "CF_WEIGHTS_DIR": "/scratch", "AWS_SECRET_ACCESS_KEY": "s", "HOME": "/home/a"}
    assert passed_on(environment) == {"HF_TOKEN": "hf_x", "CF_WEIGHTS_DIR": "/scratch", "OMP_NUM_THREADS": None}
