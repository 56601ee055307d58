import json
from pathlib import Path

import httpx2

from localhub.process import HubProcess


def test_each_request_is_logged_as_it_was_sent(shown: HubProcess, http: httpx2.Client) -> None:
    shown.clear_requests()
    http.get("/zoo/sd/resolve/main/a%20b/%C3%BC.txt?x=1", headers={"Range": "bytes=0-0", "User-Agent": "me"})
    http.head("/zoo/sd/resolve/main/none")
    first, second = shown.requests()
    assert first.pop("seconds") > 0
    assert first == {
        "method": "GET",
        "path": "/zoo/sd/resolve/main/a%20b/%C3%BC.txt",
        "query": "x=1",
        "range": "bytes=0-0",
        "user_agent": "me",
        "status": 206,
        "received": 0,
        "bytes": 1,
    }
    assert (second["method"], second["status"]) == ("HEAD", 404)
    http.post("/api/models/zoo/sd/paths-info/main", json={"paths": ["x"]})
    assert shown.requests()[2]["received"] == len('{"paths":["x"]}')
    shown.clear_requests()
    assert shown.requests() == []


def test_the_effect_of_a_fault_is_logged(shown: HubProcess, http: httpx2.Client) -> None:
    shown.clear_requests()
    shown.fail("drop", after=10)
    try:
        http.get("/zoo/sd/resolve/main/README.md")
    except httpx2.TransportError:
        shown.clear_faults()
    assert [(row["status"], row["bytes"]) for row in shown.requests()] == [(200, 10)]


def test_the_log_has_one_json_line_for_each_request(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with HubProcess(tmp_path / "hub", request_log=log) as hub, httpx2.Client(trust_env=False) as client:
        client.get(f"{hub.endpoint}/api/models")
        client.get(f"{hub.endpoint}/nowhere")
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["path"], row["status"]) for row in rows] == [("/api/models", 200), ("/nowhere", 404)]
