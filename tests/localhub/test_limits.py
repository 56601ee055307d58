from pathlib import Path

import httpx2
import pytest
from huggingface_hub.utils import parse_ratelimit_headers

from localhub.limits import Limits
from localhub.process import HubProcess


def test_after_too_many_requests_the_answers_say_when_the_window_ends(tmp_path: Path) -> None:
    limits = ["--api-limit", "3", "--file-limit", "1", "--limit-window", "60"]
    with HubProcess(tmp_path, arguments=limits) as hub, httpx2.Client(base_url=hub.endpoint, trust_env=False) as client:
        answers = [client.get("/api/models") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        budgets = [parse_ratelimit_headers(answer.headers) for answer in answers]
        assert [budget and budget.remaining for budget in budgets] == [2, 1, 0, 0]
        for budget in budgets:
            assert budget is not None
            assert (budget.resource_type, budget.limit, budget.window_seconds) == ("api", 3, 60)
            assert 0 < budget.reset_in_seconds <= 60
        first = client.get("/a/b/resolve/main/x")
        assert first.status_code == 404, "files are counted separately"
        budget = parse_ratelimit_headers(first.headers)
        assert budget is not None
        assert (budget.resource_type, budget.remaining, budget.limit) == ("resolvers", 0, 1)
        assert client.get("/a/b/resolve/main/x").status_code == 429
        other = client.get("/api/models", headers={"Authorization": "Bearer hf_other"})
        assert other.status_code == 200, "each token is counted separately"
        elsewhere = httpx2.HTTPTransport(local_address="127.0.0.2")
        with httpx2.Client(base_url=hub.endpoint, transport=elsewhere, trust_env=False) as neighbour:
            assert neighbour.get("/api/models").status_code == 200, "each address is counted separately"
            assert client.get("/api/models").status_code == 429
            assert len(hub.requests()) == 9, "requests of a test are not limited"


def test_a_new_window_starts_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    limits = Limits(api=1, resolvers=1, window=300)
    assert [limits._count("api", "me")[0] for _ in range(2)] == [0, -1]
    clock[0] += 299
    assert limits._count("api", "me") == (-2, 1)
    clock[0] += 1
    assert limits._count("api", "me") == (0, 300)
