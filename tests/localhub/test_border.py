"""The Hub answers neither another name nor another site, and tests control it with a secret only."""

from pathlib import Path

import httpx2
import pytest

from localhub.process import HubProcess


@pytest.mark.attack
def test_the_running_server_refuses_before_anything_else_answers(shown: HubProcess, http: httpx2.Client) -> None:
    for path in ("/", "/api/models", "/__faults__", "/__requests__", "/zoo/sd/resolve/main/README.md"):
        assert http.get(path, headers={"Host": "evil.com"}).status_code == 421
        assert http.get(path, headers={"Origin": "https://evil.com"}).status_code == 403
    assert http.get("/").status_code == 200


@pytest.mark.attack
def test_faults_and_requests_need_the_secret(shown: HubProcess, http: httpx2.Client) -> None:
    for path in ("/__faults__", "/__requests__"):
        for headers in ({}, {"Authorization": "Bearer hf_room_writer"}, {"Authorization": "Bearer x"}):
            for method in ("GET", "DELETE", "POST"):
                assert http.request(method, path, json={"rules": []}, headers=headers).status_code == 404
    assert shown.faults() == []


def test_without_the_flag_nobody_controls_the_server(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub", control=False) as hub, pytest.raises(Exception, match="Not Found"):
        hub.faults()
