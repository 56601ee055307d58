"""Remote generators sampled from end to end: a real provider on loopback, real checker, real workspace."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from crawler.catalog import read_catalog
from localhub.process import HubProcess
from samplers.options import SampleOptions
from samplers.outcomes import read_outcome
from samplers.provider import run as run_module
from samplers.provider.options import RemoteOptions
from samplers.provider.run import RemoteReport, sample_remote
from samplers.sample import read_samples
from samplers.weights.store import WeightStore
from tests.samplers.forked_examiner import forked_examiner
from tests.samplers.inputs import PROMPTS, write_prompts
from tests.samplers.provider import server as faults
from tests.samplers.provider.examining import CHECKER, HereExaminer, no_files
from tests.samplers.provider.server import KEY, Provider, picture
from workspace.checker import DEFAULT_CHECKER
from workspace.errors import CommunityForensicsError, UsageError
from workspace.layout import Workspace

NAME = "acme/painter"


@pytest.fixture
def recipe(provider: Provider, tmp_path: Path) -> Path:
    """The TOML file of a model behind OpenAI's API on loopback."""
    table = {
        "kind": "remote",
        "subset": "Commercial",
        "architecture": "Commercial",
        "task": "text-to-image",
        "license": "Acme TOS",
        "remote": {
            "provider": "openai",
            "model": "painter-1",
            "endpoint": provider.endpoint,
            "key": "TEST_KEY",
            "price": 0.04,
        },
    }
    path = tmp_path / "painter.toml"
    path.write_text(tomli_w.dumps({NAME: table}))
    return path


@pytest.fixture
def sample(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Workspace, RemoteReport]]:
    """Runs the command's function on one workspace; with a `hub`, images are examined as always, in a process of their
    own with the Hub's safety checker."""

    def run(images: int = 4, hub: HubProcess | None = None, **options: Any) -> tuple[Workspace, RemoteReport]:
        workspace = Workspace.open(tmp_path / "workspace")
        if not workspace.prompts.exists():
            write_prompts(workspace, PROMPTS)
        if hub is None:
            monkeypatch.setattr(run_module, "Examiner", HereExaminer)
            monkeypatch.setattr(WeightStore, "fetch_checker", no_files)
        sampling = SampleOptions(
            images=images,
            batch_size=2,
            endpoint=None if hub is None else hub.endpoint,
            safety_checker=CHECKER if hub is None else DEFAULT_CHECKER,
            weights_dir=tmp_path / "weights",
            device="cpu",
            update=options.pop("update", False),
        )
        remote = RemoteOptions(remote=(str(recipe),), **({"max_images": 20} | options))
        with forked_examiner():
            (report,) = sample_remote(workspace, remote, sampling)
        return workspace, report

    return run


def test_images_are_stored_as_they_were_delivered_with_the_prompts_of_the_plan(provider: Provider, sample: Any) -> None:
    provider.image_format = "JPEG"
    workspace, report = sample()
    assert (report.kept, report.ended, report.spent.images) == (4, None, 4)
    rows = read_samples(workspace, NAME)
    assert [row.index for row in rows] == [0, 1, 2, 3]
    for row in rows:
        content = (workspace.root / str(row.image.path)).read_bytes()
        assert content == picture(row.prompt or "", "JPEG")
        assert (row.sha256, row.format, row.origin) == (hashlib.sha256(content).hexdigest(), "JPEG", "delivered")
        assert (row.seed, row.device, row.nsfw_flag) == (None, None, False)
        assert row.prompt in {text for texts in PROMPTS.values() for text in texts}
        assert row.prompt_id
        assert json.loads(row.metadata or "")["provider"]["revised_prompt"] == f"A picture of {row.prompt}"
    outcome = read_outcome(workspace, NAME)
    assert outcome is not None
    assert (outcome.status, outcome.kept) == ("done", 4)
    (entry,) = read_catalog(workspace)
    assert (entry.subset, entry.license, entry.revision) == ("Commercial", "Acme TOS", rows[0].revision)
    # Nothing is left to do, or paid twice.
    assert sample()[1].kept == 4
    assert provider.requested.total() == 4
    assert not list(workspace.requests_of(NAME).glob("answer-*"))


def test_refused_and_lost_images_have_rows_and_others_take_their_place(provider: Provider, sample: Any) -> None:
    provider.faults.extend([faults.refusal, faults.truncated])
    workspace, report = sample(requests=1)
    rows = read_samples(workspace, NAME)
    assert [row.status for row in rows] == ["refused", "unanswered", "ok", "ok", "ok", "ok"]
    assert "safety system" in (rows[0].detail or "")
    assert rows[0].prompt
    assert (report.kept, report.spent.images, report.spent.uncertain) == (4, 5, 1)
    assert report.statuses == {"refused": 1, "unanswered": 1, "ok": 4}


def test_no_image_that_nobody_needs_is_paid(provider: Provider, sample: Any) -> None:
    _, report = sample(images=3, requests=4)
    assert (report.kept, provider.charged.total()) == (3, 3)


def test_limits_are_of_all_runs_and_more_may_be_allowed_later(provider: Provider, sample: Any) -> None:
    _, report = sample(max_images=3)
    assert (report.kept, report.ended, report.failed) == (3, "--max-images 3 is reached", False)
    _, report = sample(max_images=3)
    assert (report.kept, provider.charged.total()) == (3, 3)
    _, report = sample(max_images=None, max_cost=0.16)
    assert (report.kept, report.ended, provider.charged.total()) == (4, None, 4)


def test_another_round_asks_for_more_images_with_other_prompts(provider: Provider, sample: Any) -> None:
    sample(images=2)
    with pytest.raises(UsageError, match="--update"):
        sample(images=5)
    workspace, report = sample(images=5, update=True)
    rows = read_samples(workspace, NAME)
    assert report.kept == 5
    assert [row.round for row in rows] == [1, 1, 2, 2, 2]
    assert len({row.prompt for row in rows}) == 5


def test_an_image_that_the_checker_flags_is_paid_and_never_readable_on_the_disk(
    provider: Provider, sample: Any, hub: HubProcess
) -> None:
    import io

    import numpy as np
    from PIL import Image

    def magenta(prompt: str, image_format: str) -> bytes:
        """What the tests' checker flags."""
        file = io.BytesIO()
        noise = np.random.default_rng(list(prompt.encode())).integers(0, 8, (64, 64, 3), np.uint8)
        Image.fromarray(np.array([240, 8, 240], np.uint8) + noise).save(file, image_format)
        return file.getvalue()

    provider.make = magenta
    workspace, report = sample(images=2, max_images=2, hub=hub)
    assert report.statuses == {"nsfw": 2}
    assert report.kept == 0
    for path in workspace.root.rglob("*"):
        if path.is_file():
            for prompt in provider.charged:
                assert magenta(prompt, "PNG")[60:120] not in path.read_bytes()


def test_an_answer_that_is_no_image_is_a_row_that_is_broken(provider: Provider, sample: Any) -> None:
    provider.make = lambda *_: b"<html>no image</html>"
    _, report = sample(images=2, max_images=2)
    assert report.statuses == {"broken": 2}


def test_what_a_provider_does_wrong_is_in_the_report_and_what_came_is_stored(provider: Provider, sample: Any) -> None:
    provider.faults.extend([lambda handler, prompt: handler.deliver(prompt)] * 2)
    provider.faults.append(faults.no_credit)
    _, report = sample(requests=1)
    assert (report.kept, report.failed) == (2, True)
    assert "credit is used up" in (report.ended or "")
    assert len(provider.charged) == 2
    assert sample()[1].kept == 4
    assert set(provider.charged.values()) == {1}


def test_an_image_that_is_damaged_on_the_disk_is_not_bought_again(provider: Provider, sample: Any) -> None:
    workspace, _ = sample(images=2)
    row = read_samples(workspace, NAME)[0]
    (workspace.root / str(row.image.path)).write_bytes(b"damaged")
    _, report = sample(images=2)
    assert report.failed
    assert "restore it from a copy" in (report.ended or "")
    assert provider.charged.total() == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_images": None}, "say what may be paid for"),
        ({"requests": 0}, "--requests"),
        ({"max_cost": -1.0}, "--max-cost"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_paid(
    provider: Provider, sample: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        sample(**options)
    assert not provider.requested


def test_a_key_that_is_missing_or_none_is_refused_without_being_quoted(
    provider: Provider, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "")
    with pytest.raises(UsageError, match="variable TEST_KEY of the environment"):
        sample()
    monkeypatch.setenv("TEST_KEY", "sk-with a space")
    with pytest.raises(UsageError) as raised:
        sample()
    assert "sk-with" not in str(raised.value)


def test_a_damaged_ledger_is_a_reason_to_request_nothing(provider: Provider, sample: Any) -> None:
    workspace, _ = sample(images=2, max_images=1)
    path = workspace.requests_of(NAME) / "ledger.jsonl"
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(UsageError, match="damaged at line 1: what was paid so far is not known"):
        sample(images=2)
    assert provider.requested.total() == 1


def test_no_key_is_in_any_file_of_the_workspace(provider: Provider, sample: Any, tmp_path: Path, capfd: Any) -> None:
    provider.faults.extend([faults.refusal, faults.busy(), faults.truncated])
    sample()
    output = "".join(capfd.readouterr())
    assert KEY not in output
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_one_process_at_a_time_is_at_a_remote_generator(
    provider: Provider, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.claims import claims_of

    workspace, _ = sample(images=2, max_images=1)
    with claims_of(workspace, "sample") as claims, claims.claim(NAME) as mine:
        assert mine
        with pytest.raises(CommunityForensicsError, match="another process requests images of acme/painter"):
            sample(images=2)


def test_the_manifest_has_delivered_images_with_the_providers_terms(
    provider: Provider, sample: Any, tmp_path: Path
) -> None:
    from captioning.prompt import Prompt
    from manifests.manifest import ManifestRow
    from manifests.stage import build_manifest
    from tests.manifests.making import own_prompt
    from workspace import records
    from workspace.layout import part_name

    prompts = Workspace.open(tmp_path / "workspace").prompts_of("own") / part_name(0)
    records.write(prompts, Prompt, [own_prompt("own", number) for number in range(8)])
    provider.faults.extend([faults.refusal, faults.truncated])
    provider.image_format = "WEBP"
    workspace, _ = sample(images=2, requests=1)
    build_manifest(workspace)
    rows = records.read(workspace.manifest / "manifest.parquet", ManifestRow)
    assert {(row.subset, row.license, row.origin, row.format) for row in rows} == {
        ("Commercial", "Acme TOS", "delivered", "WEBP")
    }
    assert len(rows) == 2
