from pathlib import Path

import httpx2
import pytest
from huggingface_hub.utils import parse_ratelimit_headers

from localhub.limits import Limits
from localhub.process import HubProcess


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    limits = ["--api-limit", "3", "--file-limit", "1", "--limit-window", "60"]
    with HubProcess(tmp_path, arguments=limits) as hub, httpx2.Client(base_url=hub.endpoint, trust_env=False) as client:
        answers = [client.get("/api/models") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        told = parse_ratelimit_headers(answers[0].headers)
        assert told is not None
        assert (told.resource_type, told.remaining, told.limit, told.window_seconds) == ("api", 2, 3, 60)
        assert 0 < told.reset_in_seconds <= 60
        assert client.get("/a/b/resolve/main/x").status_code == 404, "files are counted apart"
        assert client.get("/a/b/resolve/main/x").status_code == 429
        other = client.get("/api/models", headers={"Authorization": "Bearer hf_other"})
        assert other.status_code == 200, "each visitor is counted apart"


def test_a_new_window_starts_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    limits = Limits(api=1, resolvers=1, window=300)
    assert [limits._count("api", "me")[0] for _ in range(2)] == [0, -1]
    clock[0] += 299
    assert limits._count("api", "me") == (-2, 1)
    clock[0] += 1
    assert limits._count("api", "me")[0] == 0
