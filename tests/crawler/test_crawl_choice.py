"""A crawl with a choice: what is left out has a row with the reason, is counted, and is not inspected twice."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crawler.catalog import read_catalog
from crawler.crawl import Crawled, crawl
from crawler.explanation import print_explanation
from crawler.options import CrawlOptions
from crawler.summary import print_summary
from localhub.process import HubProcess
from samplers.assignment.pending import find_pending
from samplers.options import SampleOptions
from tests.crawler.conftest import ALL
from tests.crawler.repositories import as_json, stable_diffusion
from tests.hubs import fill
from tests.samplers.inputs import PROMPTS, write_prompts
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace

#: Licence, tags and settings of each model, in the order of downloads.
MODELS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "acme/free": ("mit", {}),
    "acme/rail": ("creativeml-openrail-m", {"tags": ["nsfw"]}),
    "acme/closed": ("cc-by-nc-4.0", {}),
    "acme/silent": (None, {"tags": ["not-for-all-audiences", "nsfw-detection"]}),
    "acme/gated": ("mit", {"gated": "manual"}),
    "other/large": ("apache-2.0", {}),
}


def _card(license: str | None, tags: list[str]) -> str:
    lines = [f"license: {license}"] if license else []
    return "\n".join(["---", *lines, "library_name: diffusers", f"tags: {tags}", "---", "# A model"])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    directory = tmp_path_factory.mktemp("choice")
    for number, (name, (license, about)) in enumerate(MODELS.items()):
        weights = b"x" * (20_000 if name == "other/large" else 10)
        files = stable_diffusion(
            _card(license, about.get("tags", [])), **{"unet/diffusion_pytorch_model.safetensors": weights}
        )
        files["vae/config.json"] = as_json({"_class_name": "AutoencoderKL", "block_out_channels": [8, 8, 8, number]})
        settings = {key: value for key, value in about.items() if key != "tags"}
        fill(directory, name, files, downloads=100 - number, **settings)
    with HubProcess(directory) as running:
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "workspace")


def _run(workspace: Workspace, hub: HubProcess, **options: Any) -> Crawled:
    hub.clear_requests()
    return crawl(workspace, replace(ALL, endpoint=hub.endpoint, **options))


def _reasons(crawled: Crawled) -> dict[str, str | None]:
    return {entry.model_name: entry.reason for entry in crawled.entries}


CHOICE: dict[str, Any] = {"license_deny": ("non-commercial,unknown",), "max_size": "10kB"}


def test_what_is_left_out_has_a_row_with_the_reason_and_is_counted(
    workspace: Workspace, hub: HubProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    crawled = _run(workspace, hub, **CHOICE, exclude=("*/free",))
    assert _reasons(crawled) == {
        "acme/rail": None,
        "acme/closed": "left-out",
        "acme/silent": "left-out",
        "acme/gated": "gated",
        "other/large": "left-out",
    }
    details = {entry.model_name: entry.reason_detail for entry in crawled.entries}
    assert details["acme/closed"] == "--license-deny: its licence in effect, CC-BY-NC-4.0, is denied"
    assert details["acme/silent"] == "--license-deny: its licence in effect, none given, is denied"
    assert str(details["other/large"]).startswith("--max-size: its download of 20.")
    print_summary(crawled, workspace.catalog)
    assert (
        "left out: 2 by --license-deny; 1 by --max-size; 1 by --exclude, not inspected"
        in capsys.readouterr().out.splitlines()
    )
    assert {name: recipe.read(workspace)["crawl"][name] for name in ("license_deny", "max_size", "exclude")} == {
        "license_deny": ["family=non-commercial", "family=unknown"],
        "max_size": 10_000,
        "exclude": ["*/free"],
    }


def test_nothing_is_inspected_twice_until_the_choice_changes(workspace: Workspace, hub: HubProcess) -> None:
    first = _run(workspace, hub, **CHOICE)
    again = _run(workspace, hub, **CHOICE)
    asked = [request["path"] for request in hub.requests() if request["path"] != "/api/models"]
    assert asked == []
    assert again.entries == first.entries
    with pytest.raises(UsageError, match=r"license_deny was \['family=non-commercial', 'family=unknown'\], now unset"):
        _run(workspace, hub, max_size="10kB")


def test_sampling_chooses_by_the_same_rules_and_leaves_the_recipe_as_it_is(
    workspace: Workspace, hub: HubProcess, tmp_path: Path
) -> None:
    _run(workspace, hub)
    write_prompts(workspace, PROMPTS)

    def names(**options: Any) -> tuple[list[str], list[str]]:
        checker = f"org/checker@{'0' * 40}"
        pending = find_pending(workspace, SampleOptions(images=2, safety_checker=checker, device="cpu", **options))
        assert pending.recipe == find_pending(workspace, SampleOptions(images=2, safety_checker=checker)).recipe
        return [one.entry.generator for one in pending.generators], list(pending.notes)

    assert names() == (["acme/free", "acme/rail", "acme/closed", "acme/silent", "other/large"], [])
    assert names(**CHOICE) == (
        ["acme/free", "acme/rail"],
        [
            "left out: 3 of 5 generators: 2 by --license-deny (CC-BY-NC-4.0 1, none given 1), 1 by --max-size",
        ],
    )
    assert names(license_allow=("open",))[0] == ["acme/free", "other/large"]
    listed = tmp_path / "names.txt"
    listed.write_text("acme/closed\nother/*\nacme/never-crawled\n")
    assert names(only=(f"@{listed}",)) == (
        ["acme/closed", "other/large"],
        ["--only: the catalogue has no generator acme/never-crawled", "left out: 3 of 5 generators: 3 by --only"],
    )
    assert names(only=("acme/*",), exclude=("*/[cs]*",))[0] == ["acme/free", "acme/rail"]
    assert names(only=("acme/*",), limit=1)[0] == ["acme/free"]
    for options, message in (
        ({"only": ("acme/gated",)}, r"--only acme/gated: it cannot be sampled \(gated: "),
        ({"only": ("nobody/*",)}, r"--only nobody/\*: the catalogue has no such generator"),
        (
            {"license_allow": ("isc",)},
            r"no generator is left to sample; left out: 5 of 5 generators: 5 by --license-allow \(",
        ),
        ({"architecture": ("GAN",)}, "5 by --architecture"),
    ):
        with pytest.raises(UsageError, match=message):
            names(**options)


def test_the_table_of_a_crawl_counts_licences_gated_models_and_tags_for_adult_content(
    workspace: Workspace, hub: HubProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    crawled = _run(workspace, hub)
    print_summary(crawled, workspace.catalog)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    start = lines.index("licence in effect models compatible gated nsfw tag")
    assert lines[start + 1 : start + 6] == [
        "open 3 2 1 0",
        "non-commercial 1 1 0 0",
        "openrail 1 1 0 1",
        "unknown 1 1 0 1",
        "all 6 5 1 2",
    ]


def test_an_explanation_begins_with_what_a_choice_goes_by(
    workspace: Workspace, hub: HubProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _run(workspace, hub, **CHOICE)
    for name, expected in (
        ("acme/silent", ["licence none given, family unknown", "gated no", "nsfw not-for-all-audiences"]),
        ("acme/gated", ["licence MIT, family open", "gated manual: accept the terms on the Hub, set HF_TOKEN"]),
    ):
        print_explanation(workspace, name)
        out = capsys.readouterr().out
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert lines[: len(expected)] == expected
        assert max(len(line) for line in out.splitlines()[5:]) <= 80
    print_explanation(workspace, "acme/silent")
    assert "left-out: --license-deny: its licence in effect, none given, is denied" in " ".join(
        capsys.readouterr().out.split()
    )


def test_an_unknown_architecture_or_family_is_an_error_before_the_hub_is_asked(workspace: Workspace) -> None:
    for options, message in (
        ({"architecture": ("Latdif",)}, "--architecture Latdif: .* did you mean LatDiff"),
        ({"architecture": ("StableDifusionPipeline",)}, "did you mean StableDiffusionPipeline"),
        ({"license_allow": ("family=free",)}, "--license-allow family=free: the families are"),
        ({"include": ("@none.txt",)}, "--only @none.txt: No such file"),
    ):
        with pytest.raises(UsageError, match=message):
            crawl(workspace, CrawlOptions(endpoint="http://127.0.0.1:9", **options))
    assert not workspace.recipe.exists()


def test_another_choice_is_a_round_that_adds_what_it_wants(workspace: Workspace, hub: HubProcess) -> None:
    _run(workspace, hub, **CHOICE)
    recipe.pin(workspace, "sample", {"images": 2})
    wider = {"license_deny": ("non-commercial",), "max_size": "10kB", "update": True}
    crawled = _run(workspace, hub, **wider)
    rows = {entry.model_name: (entry.round, entry.reason) for entry in crawled.entries}
    assert rows == {
        "acme/free": (1, None),
        "acme/rail": (1, None),
        "acme/closed": (1, "left-out"),
        "acme/silent": (2, None),
        "acme/gated": (1, "gated"),
        "other/large": (1, "left-out"),
    }
    # What was sampled stays, also where a later choice does not want it.
    narrow = _run(workspace, hub, license_deny=("mit", "non-commercial"), update=True)
    assert _reasons(narrow)["acme/free"] is None


def test_names_that_the_list_does_not_have_are_said(workspace: Workspace, hub: HubProcess, tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("acme/free\nacme/fere\nacme/ra*\n")
    crawled = _run(workspace, hub, include=(f"@{file}",))
    assert list(_reasons(crawled)) == ["acme/free", "acme/rail"]
    assert crawled.notes == ("--only: 1 that the Hub's list does not have, or another option leaves out: acme/fere",)
    assert recipe.read(workspace)["crawl"]["include"] == ["acme/free", "acme/fere", "acme/ra*"]


def test_a_licence_that_no_model_has_is_said_after_the_crawl(workspace: Workspace, hub: HubProcess) -> None:
    crawled = _run(workspace, hub, license_deny=("cc-by-nc-9.0",))
    assert crawled.notes == (
        "--license-deny cc-by-nc-9.0: no generator of the catalogue has this licence; did you mean cc-by-nc-4.0?",
    )
    assert len(read_catalog(workspace)) == len(MODELS)
