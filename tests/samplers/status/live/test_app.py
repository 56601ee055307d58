"""The live page over HTTP: what it shows, what it escapes, and what it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from typer.testing import CliRunner

from samplers.outcomes import write_outcome
from samplers.status.cli import status as command
from samplers.status.json_form import schema_text
from samplers.status.live.app import Live, commands_as_code
from tests.browser import CHROMIUM
from tests.records import catalog_entry
from tests.samplers.inputs import write_catalog
from tests.samplers.status.live.serving import Page, image_of, page_of, write_images, write_log
from tests.samplers.status.test_generators import entries, outcome
from tests.samplers.storage.making import NAME, png_of
from workspace.layout import Workspace

HOSTILE = "</figcaption><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[2J\u202e\"'"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Texts of strangers say what they can: a prompt, a failure, the end of a shard."""
    workspace = Workspace.open(tmp_path_factory.mktemp("workspace"))
    first, second = entries(2)
    write_catalog(workspace, [catalog_entry(NAME, task="unconditional"), first, second])
    write_images(workspace, 0, 1, prompt=HOSTILE)
    write_log(workspace, "1/3", NAME)
    write_log(workspace, "2/3", NAME, why="failed", detail=HOSTILE)
    write_outcome(workspace, outcome(first, "sample-failed", detail=HOSTILE, log="logs/stderr/org--model-0.txt"))
    workspace.stderr_of(first.generator).parent.mkdir()
    workspace.stderr_of(first.generator).write_text("Traceback\n")
    write_outcome(workspace, outcome(second, "done", kept=20))
    return workspace


@pytest.fixture(scope="module")
def page(workspace: Workspace) -> Page:
    return page_of(workspace)


def test_the_page_shows_the_run(page: Page, workspace: Workspace) -> None:
    shown = page.get("/").text
    for words in (
        "<h1>Sampling</h1>",
        str(workspace.root),
        "Never started: shard 3 of 3.",
        "sample-failed",
        "logs/stderr/org--model-0.txt",
        "<code>cf-sample --retry-failed</code>",
        'data-title="67% of 3 generators"',
    ):
        assert words in shown
    assert len(re.findall(r'<img src="image/[0-9a-f]{64}\.png"', shown)) == 2
    # A browser that runs no scripts loads it again by itself.
    assert '<noscript><meta http-equiv="refresh" content="0.0"></noscript>' in shown


def test_sections_are_those_of_the_page(page: Page) -> None:
    shown, sections = page.get("/").text, page.get("/sections").text
    identities = re.findall(r'<section id="(\w+)"', sections)
    assert identities == ["taken", "error", "numbers", "shards", "images", "failures", "time"]
    assert re.findall(r'<section id="(\w+)"', shown) == identities


@pytest.mark.attack
def test_no_text_of_a_stranger_is_markup(page: Page) -> None:
    for path in ("/", "/sections"):
        answer = page.get(path)
        assert answer.text.count("<script>") == (path == "/")
        assert "onerror=alert(2)&gt;" in answer.text
        assert "<img src=x" not in answer.text
        assert "\x1b" not in answer.text
        assert "\u202e" not in answer.text


def test_commands_in_a_text_are_code_and_the_rest_is_escaped() -> None:
    assert commands_as_code("run `cf-sample <x>` & wait") == "run <code>cf-sample &lt;x&gt;</code> &amp; wait"


@pytest.mark.attack
def test_its_policy_allows_its_own_script_and_style_only_and_no_frame(page: Page) -> None:
    answer = page.get("/")
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy.pop("script-src").startswith("'sha256-")
    assert policy.pop("style-src").startswith("'sha256-")
    assert policy == {
        "default-src": "'none'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    for path in ("/", "/metrics", "/status.json", "/nothing"):
        headers = page.get(path).headers
        assert path == "/nothing" or headers["x-content-type-options"] == "nosniff"
    assert " style=" not in answer.text
    assert not re.search(r"\son\w+=", re.sub(r'"[^"]*"|>[^<]*<', "", answer.text))


def test_an_image_is_served_by_its_hash(page: Page) -> None:
    (first, *_) = re.findall(r"image/[0-9a-f]{64}\.png", page.get("/").text)
    answer = page.get(f"/{first}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == png_of(1).content
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.attack
@pytest.mark.parametrize(
    "path",
    [
        "/image/../recipe.toml",
        "/image/..%2f..%2fcatalog.parquet.png",
        "/image/%2e%2e/%2e%2e/etc/passwd",
        "/image//etc/passwd.png",
        "/image/00000000.png",
        f"/image/{'0' * 64}.png",
        "/catalog.parquet",
        "/images/org--name/00000000.png",
        "/logs/stderr/org--model-0.txt",
        "/../../etc/passwd",
        "/style.css",
    ],
)
def test_what_no_row_names_is_not_served(page: Page, path: str) -> None:
    page.get("/")
    assert page.get(path).status == 404


@pytest.mark.attack
def test_another_name_another_site_and_another_method_are_refused(page: Page) -> None:
    assert page.get("/", Host="evil.example").status == 421
    assert page.get("/", Origin="https://evil.example").status == 403
    assert page.get("/status.json", Sec_Fetch_Site="cross-site").status == 403
    assert [page.get("/", method).status for method in ("POST", "PUT", "DELETE")] == [405] * 3


def test_metrics_can_be_read_by_prometheus(page: Page) -> None:
    answer = page.get("/metrics", Accept="text/plain;version=0.0.4")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert [samples["cf_generators", state] for state in ("done", "exhausted", "failed", "left")] == [1, 0, 1, 1]
    assert samples["cf_failed_generators", "sample-failed"] == 1
    assert (samples["cf_images",], samples["cf_shards_not_started",]) == (22, 1)
    assert samples["cf_shard_state", "2/3", "failed"] == 1
    assert ("cf_left_seconds",) not in samples
    # No series for each generator.
    assert NAME not in answer.text


def test_json_is_that_of_the_command(page: Page) -> None:
    answer = page.get("/status.json")
    assert answer.headers["content-type"] == "application/json"
    jsonschema.validate(json.loads(answer.text), json.loads(schema_text()))


def test_the_workspace_is_looked_at_once_in_a_while_however_many_ask(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    write_catalog(workspace, entries(1))
    page = page_of(workspace, every=1000)
    assert 'cf_generators{state="done"} 0.0' in page.get("/metrics").text
    write_outcome(workspace, outcome(entries(1)[0], "done"))
    assert 'cf_generators{state="done"} 0.0' in page.get("/metrics").text
    assert 'cf_generators{state="done"} 1.0' in page_of(workspace, every=1000).get("/metrics").text


def test_a_workspace_that_cannot_be_read_is_said_and_the_page_goes_on(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    page = page_of(workspace)
    assert "catalog.parquet does not exist" in page.get("/").text
    for path in ("/metrics", "/status.json"):
        answer = page.get(path)
        assert (answer.status, "catalog.parquet does not exist" in answer.text) == (503, True)
    write_catalog(workspace, entries(1))
    assert "does not exist" not in page.get("/sections").text
    assert page.get("/metrics").status == 200


def test_a_removed_image_and_a_new_one_are_seen(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    write_catalog(workspace, [catalog_entry(NAME, task="unconditional")])
    write_log(workspace, "1/1", NAME)
    (row,) = write_images(workspace, 0)
    page = page_of(workspace)
    assert f"{row.sha256}.png" in page.get("/").text
    image_of(workspace, row).unlink()
    assert page.get(f"/image/{row.sha256}.png").status == 404
    _, second = write_images(workspace, 0, 1)
    assert f"{second.sha256}.png" in page.get("/sections").text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json"], "--serve shows the status by itself"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid port 0"),
    ],
)
def test_misuse_is_one_line(workspace: Workspace, options: list[str], words: str) -> None:
    app = typer.Typer()
    app.command()(command)
    ended = CliRunner().invoke(app, ["--serve", "0", "--workspace", str(workspace.root), *options])
    assert words in str(ended.exception)


def test_the_command_serves_on_this_machine_only_until_ctrl_c_and_changes_nothing(workspace: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*")}
    code = "from samplers.status.cli import main; main()"
    options = ["--workspace", str(workspace.root), "--serve", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.search(r" is at http://127\.0\.0\.1:(\d+) ", line)
    assert address, line
    assert page_at(int(address[1])).get("/metrics").status == 200
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=20)
    assert (process.returncode, *rest) == (0, "", "")
    assert {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*")} == before


def page_at(port: int) -> Page:
    return Page(("127.0.0.1", port))


def test_in_a_browser_its_script_refreshes_it_and_nothing_violates_its_policy(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: install chromium to look at pages")
    asked: list[str] = []
    answered = Live._sections

    def counted(live: Live, request: Request) -> Response:
        asked.append(request.url.path)
        return answered(live, request)

    monkeypatch.setattr(Live, "_sections", counted)
    page = page_of(workspace, every=0.1)
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"
    seen = subprocess.run(
        [
            CHROMIUM,
            *quiet.split(),
            "--enable-logging=stderr",
            "--virtual-time-budget=1500",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.url,
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert "<title>67% of 3 generators – Community Forensics: sampling</title>" in seen.stdout
    assert [line for line in seen.stderr.splitlines() if "CONSOLE" in line] == []
    assert len(asked) > 1
    assert re.search(r'<p class="warning" id="away" hidden="">', seen.stdout)
