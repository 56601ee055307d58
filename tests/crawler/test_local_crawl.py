import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crawler.catalog import CatalogEntry, read_catalog
from crawler.crawl import Crawled, crawl
from crawler.explanation import explain
from crawler.options import CrawlOptions
from crawler.summary import print_summary
from localhub.process import HubProcess
from localhub.store import Store
from tests.crawler.checkpoints import SD1, without, write
from tests.crawler.repositories import CARD, as_json, changed, stable_diffusion
from tests.hubs import fill
from workspace.errors import UsageError
from workspace.identity import sha256_of_file
from workspace.layout import Workspace
from workspace.roots import place_name, read_places

BASE = "acme/base"


@pytest.fixture
def make(tmp_path: Path, wild_hub: HubProcess) -> Callable[..., dict[str, CatalogEntry]]:
    """Crawls what a TOML file in the test's folder names; returns the rows by name."""

    def crawled(text: str, **options: object) -> dict[str, CatalogEntry]:
        (tmp_path / "g.toml").write_text(text)
        wanted = replace(CrawlOptions(from_file=tmp_path / "g.toml", endpoint=wild_hub.endpoint), **options)  # type: ignore[arg-type]
        return {entry.model_name: entry for entry in crawl(Workspace.open(tmp_path / "workspace"), wanted).entries}

    return crawled


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def _file(**more: str) -> str:
    said = "".join(f'\n{key} = "{value}"' for key, value in more.items())
    return f'["me/mix"]\npath = "mix.safetensors"\nconfig = "{BASE}"{said}'


def test_a_single_file_is_pinned_by_its_hash_and_its_configuration_by_a_commit(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path, catalog: dict[str, CatalogEntry]
) -> None:
    file = write(tmp_path / "mix.safetensors")
    row = make(_file(license="MIT", link="https://example.org/mix"))["me/mix"]
    assert (row.status, row.reason_detail) == ("compatible", None)
    assert row.revision == sha256_of_file(file)
    assert row.is_local
    assert (row.base_model, row.base_revision) == (BASE, catalog[BASE].revision)
    assert [one.path for one in row.files] == [row.single_file] == ["checkpoint.safetensors"]
    # Configurations and tokenizer of the base, and no weights, of which the file has all.
    assert [one.path for one in row.base_files] == [
        one.path for one in catalog[BASE].files if not one.path.endswith(".safetensors")
    ]
    assert row.download_bytes == file.stat().st_size + sum(one.size for one in row.base_files)
    assert (row.subset, row.endpoint, row.link) == ("Manual", None, "https://example.org/mix")
    assert (row.license, row.license_source, row.license_family) == ("MIT", "user", "open")
    assert row.license_chain == ("me/mix: MIT", f"{BASE}: creativeml-openrail-m")
    assert row.license_family_effective == "openrail"
    assert (row.hf_diffusers_tag, row.architecture, row.task) == ("StableDiffusionPipeline", "LatDiff", "text-to-image")
    assert row.lineage == (BASE,)


def test_weights_that_the_file_lacks_are_those_of_the_base(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path
) -> None:
    write(tmp_path / "mix.safetensors", without("first_stage_model", "cond_stage_model"))
    row = make(_file())["me/mix"]
    assert row.status == "compatible"
    assert [one.path for one in row.base_files if one.path.endswith(".safetensors")] == [
        "text_encoder/model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]


@pytest.mark.parametrize(
    ("shapes", "reason", "message"),
    [
        (without(**{"x.scale_weight": (1,)}), "quantized-only", "it has the tensor x.scale_weight"),
        ({"lora_unet_x.lora_down.weight": (1,)}, "other-kind", "it is a LoRA, not a checkpoint"),
        (
            without("input_blocks", **{"model.diffusion_model.input_blocks.0.0.weight": (2, 9, 1, 1)}),
            "needs-input-image",
            "its unet takes 9 channels and returns 4",
        ),
        ({"double_blocks.0.img_mod.lin.weight": (1,)}, None, None),
        (without("diffusion_model"), "base-incompatible", "it has no denoiser of a StableDiffusionPipeline"),
        (without(**{"control_model.x": (1,)}), "base-incompatible", "1 of its tensors belong to no component of"),
    ],
)
def test_what_is_no_checkpoint_of_the_configured_pipeline_says_why(
    make: Callable[..., dict[str, CatalogEntry]],
    tmp_path: Path,
    shapes: dict[str, tuple[int, ...]],
    reason: str | None,
    message: str | None,
) -> None:
    write(tmp_path / "mix.safetensors", shapes)
    row = make(_file())["me/mix"]
    assert row.reason == reason
    assert message is None or message in (row.reason_detail or "")
    assert row.revision == sha256_of_file(tmp_path / "mix.safetensors")


def test_a_file_that_predicts_v_needs_the_setting_in_its_table(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path
) -> None:
    write(tmp_path / "mix.safetensors", without(v_pred=(0,), ztsnr=(0,)))
    row = make(_file())["me/mix"]
    assert (row.reason, row.reason_detail) == (
        "base-incompatible",
        'its tensor v_pred says that it predicts v: add prediction_type = "v_prediction" to its table',
    )
    row = make(_file(prediction_type="v_prediction"))["me/mix"]
    assert "add scheduler_config = { rescale_betas_zero_snr = true } to its table" in (row.reason_detail or "")
    said = "scheduler_config = { rescale_betas_zero_snr = true }"
    row = make(f"{_file(prediction_type='v_prediction')}\n{said}")["me/mix"]
    assert row.status == "compatible"
    assert row.hyperparameters.prediction_type == "v_prediction"
    assert row.hyperparameters.scheduler_config == '{"rescale_betas_zero_snr": true}'
    assert row.hyperparameter_sources.scheduler_config == "user"


def test_a_file_without_a_configuration_is_told_which_one_it_may_need(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path
) -> None:
    write(tmp_path / "mix.safetensors")
    write(tmp_path / "odd.safetensors", {"x": (1,)})
    rows = make('models = ["mix.safetensors", "odd.safetensors"]')
    assert {row.reason for row in rows.values()} == {"base-missing"}
    details = {name: row.reason_detail or "" for name, row in rows.items()}
    assert 'name one in a TOML file, such as config = "stable-diffusion-v1-5/' in details["local/mix"]
    assert "such as" not in details["local/odd"]


@pytest.mark.parametrize(
    ("config", "reason", "message"),
    [
        ("acme/nowhere", "base-missing", "acme/nowhere does not exist on the Hub"),
        ("acme/gated", "gated", "acme/gated is gated"),
        ("acme/film", "base-incompatible", "its base model acme/film: video"),
        ("acme/pickles", None, None),
    ],
)
def test_a_configuration_that_cannot_be_had_is_the_reason(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path, config: str, reason: str | None, message: str | None
) -> None:
    write(tmp_path / "mix.safetensors")
    row = make(_file().replace(BASE, config))["me/mix"]
    # Of a base whose weights are pickles, only the configuration is needed.
    assert row.reason == reason
    assert message is None or message in (row.reason_detail or "")


def test_one_base_at_two_commits_configures_two_files(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path, wild_hub: HubProcess
) -> None:
    commits = [
        fill(
            wild_hub.directory,
            "acme/moving",
            stable_diffusion(CARD, **{"vae/config.json": as_json({"n": number})}),
            exist_ok=True,
        )
        for number in range(2)
    ]
    table = '["me/{0}"]\npath = "{0}.safetensors"\nconfig = "acme/moving@{1}"\n'
    for name in "ab":
        write(tmp_path / f"{name}.safetensors", mark=name.encode())
    try:
        rows = make("".join(table.format(*pair) for pair in zip("ab", commits, strict=True)))
    finally:
        # The Hub is that of other tests too.
        Store(wild_hub.directory).delete("model", "acme/moving")
    assert [rows[f"me/{name}"].base_revision for name in "ab"] == commits
    assert rows["me/a"].base_files != rows["me/b"].base_files


def test_a_folder_is_inspected_like_a_repository_and_needs_no_hub(tmp_path: Path) -> None:
    card = CARD + '\n```python\npipe("x", num_inference_steps=7, guidance_scale=3.0)\n```\n'
    write_folder(tmp_path / "mine", stable_diffusion(card, **{"training.py": b"import os", ".git/x": b"x"}))
    workspace = Workspace.open(tmp_path / "workspace")
    (row,) = crawl(workspace, CrawlOptions(from_file=tmp_path / "mine", endpoint="http://127.0.0.1:9")).entries
    assert (row.model_name, row.status, row.single_file, row.base_files) == ("local/mine", "compatible", None, ())
    assert (row.license, row.license_source) == ("creativeml-openrail-m", "card")
    assert row.hyperparameters.num_inference_steps == 7
    assert all(one.sha256 == sha256_of_file(tmp_path / "mine" / one.path) for one in row.files)
    assert "training.py" not in [one.path for one in row.files]
    assert read_places(workspace) == {place_name("local/mine", row.revision): tmp_path / "mine"}


def test_what_the_user_says_comes_before_the_card(make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path) -> None:
    card = CARD + '\n```python\npipe("x", num_inference_steps=7, guidance_scale=3.0)\n```\n'
    write_folder(tmp_path / "mine", stable_diffusion(card))
    row = make("""
        ["me/mine"]
        path = "mine"
        base_model = "org/ancestor"
        license = "cc-by-nc-4.0"
        steps = 9
        scheduler = "Euler a"
        trigger_words = "zoo"
        """)["me/mine"]
    settings, sources = row.hyperparameters, row.hyperparameter_sources
    assert (settings.num_inference_steps, sources.num_inference_steps) == (9, "user")
    assert (settings.guidance_scale, sources.guidance_scale) == (3.0, "card")
    assert (settings.scheduler, sources.scheduler) == ("EulerAncestralDiscreteScheduler", "user")
    assert (settings.trigger_words, sources.trigger_words) == ("zoo", "user")
    assert (row.license_source, row.license_family) == ("user", "non-commercial")
    assert row.lineage == ("org/ancestor",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_index.json": None}, "no-model-index"),
        ({"unet/diffusion_pytorch_model.safetensors": None, "unet/diffusion_pytorch_model.bin": b"x"}, "pickle-only"),
        ({"vae/config.json": None}, "missing-files"),
        ({"model_index.json": b"{"}, "malformed"),
        ({"unet/diffusers.py": b"import os"}, "remote-code"),
    ],
)
def test_a_folder_has_the_reasons_of_a_repository(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path, changes: dict[str, bytes | None], reason: str
) -> None:
    write_folder(tmp_path / "mine", changed(stable_diffusion(), changes))
    row = make('["me/mine"]\npath = "mine"')["me/mine"]
    assert row.reason == reason
    assert len(row.revision) == 64


@pytest.mark.attack
@pytest.mark.parametrize("place", ["model_index.json", "unet/config.json", "vae/diffusion_pytorch_model.safetensors"])
@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_links_that_lead_out_and_pipes_are_refused_without_naming_where(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path, place: str, what: str
) -> None:
    folder = write_folder(tmp_path / "mine", stable_diffusion())
    secret = tmp_path / "secret"
    (folder / place).rename(secret)
    if what == "link":
        (folder / place).symlink_to(secret)
    elif what == "pipe":
        os.mkfifo(folder / place)
    else:
        (folder / place).mkdir()
    row = make('["me/mine"]\npath = "mine"')["me/mine"]
    assert row.status == "incompatible"
    assert str(tmp_path) not in (row.reason_detail or "")
    if what != "folder":
        assert row.reason == "malformed"
        assert place in (row.reason_detail or "")


@pytest.mark.attack
@pytest.mark.parametrize("content", [b"", b"\x80\x04.", (2**50).to_bytes(8, "little") + b"{}"])
def test_a_file_that_is_no_safetensors_is_malformed(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "mix.safetensors").write_bytes(content)
    assert make(_file())["me/mix"].reason == "malformed"


def test_a_path_that_does_not_exist_or_is_a_pickle_says_so(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path
) -> None:
    (tmp_path / "old.ckpt").write_bytes(b"\x80")
    os.mkfifo(tmp_path / "pipe.safetensors")
    rows = make('models = ["gone.safetensors", "./gone-folder", "old.ckpt", "pipe.safetensors"]')
    details = {name: f"{row.reason}: {row.reason_detail}" for name, row in rows.items()}
    assert details["local/gone"] == "malformed: its path cannot be read: No such file or directory"
    assert details["local/gone-folder"] == "malformed: its path cannot be read: No such file or directory"
    assert details["local/old"].startswith("other-format: a checkpoint in one file is taken as .safetensors only")
    assert details["local/pipe"] == "malformed: checkpoint.safetensors cannot be read: not a regular file"


def test_a_link_that_the_user_names_is_followed(make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path) -> None:
    write(tmp_path / "store" / "0123")
    (tmp_path / "mix.safetensors").symlink_to(tmp_path / "store" / "0123")
    assert make(_file())["me/mix"].status == "compatible"


def test_local_generators_are_beside_those_of_the_hub_and_obey_the_choice(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path
) -> None:
    for name in "abc":
        write(tmp_path / f"{name}.safetensors", mark=name.encode())
    table = "".join(f'["me/{name}"]\npath = "{name}.safetensors"\nconfig = "{BASE}"\n' for name in "abc")
    rows = make(f'models = ["acme/halves", "{BASE}"]\n{table}', exclude=("me/b",))
    assert {name: row.rank for name, row in rows.items()} == {BASE: 1, "acme/halves": 2, "me/a": 3, "me/c": 4}
    assert [row.subset for row in rows.values()] == ["Systematic", "Systematic", "Manual", "Manual"]


def test_a_second_crawl_sees_what_has_changed(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path, wild_hub: HubProcess
) -> None:
    write(tmp_path / "mix.safetensors")
    before = make(_file(license="mit"))["me/mix"]
    write(tmp_path / "mix.safetensors", mark=b"?")
    after = make(_file(license="openrail"))["me/mix"]
    assert before.revision != after.revision
    assert (before.license_family, after.license_family) == ("open", "openrail")
    workspace = Workspace.open(tmp_path / "workspace")
    assert {place_name("me/mix", row.revision) for row in (before, after)} == set(read_places(workspace))


def test_what_was_sampled_stays_and_an_update_adds_the_changed_file_beside_it(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path
) -> None:
    write(tmp_path / "mix.safetensors")
    before = make(_file())["me/mix"]
    workspace = Workspace.open(tmp_path / "workspace")
    workspace.samples_of("me/mix").mkdir(parents=True)
    (workspace.samples_of("me/mix") / "part-00000.parquet").touch()
    write(tmp_path / "mix.safetensors", mark=b"?")
    kept = make(_file())["me/mix"]
    assert (kept.revision, kept.further_revision) == (before.revision, False)
    make(_file(), update=True)
    rows = read_catalog(workspace)
    assert [(row.model_name, row.further_revision) for row in rows] == [("me/mix", False), ("me/mix", True)]
    assert rows[1].revision == sha256_of_file(tmp_path / "mix.safetensors")


def test_a_name_of_the_hub_is_not_taken(make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path) -> None:
    write(tmp_path / "mix.safetensors")
    make(f'models = ["{BASE}"]')
    shutil.rmtree(tmp_path / "workspace" / ".crawl", ignore_errors=True)
    (tmp_path / "workspace" / "recipe.toml").unlink()
    with pytest.raises(UsageError, match=f"{BASE} is a model of the Hub in this catalogue"):
        make(f'["{BASE}"]\npath = "mix.safetensors"\nconfig = "acme/halves"')


def test_a_configuration_in_a_folder_is_hashed_too(
    make: Callable[..., dict[str, CatalogEntry]], tmp_path: Path
) -> None:
    files = {path: content for path, content in stable_diffusion().items() if not path.endswith(".safetensors")}
    write_folder(tmp_path / "sd1", files)
    write(tmp_path / "mix.safetensors")
    row = make(_file().replace(BASE, "./sd1"))["me/mix"]
    assert (row.status, row.base_model) == ("compatible", "local/sd1")
    assert all(one.sha256 for one in row.base_files)
    places = read_places(Workspace.open(tmp_path / "workspace"))
    assert places[place_name("local/sd1", row.base_revision or "")] == tmp_path / "sd1"
    # A folder that is a generator of the file as well is the base under that name.
    shutil.rmtree(tmp_path / "workspace")
    row = make(f'{_file().replace(BASE, "./sd1")}\n["me/first"]\npath = "sd1"', limit=1)["me/mix"]
    assert row.base_model == "me/first"


def test_the_differences_of_a_crawl_name_local_generators(tmp_path: Path, wild_hub: HubProcess) -> None:
    write(tmp_path / "mix.safetensors", SD1)
    (tmp_path / "g.toml").write_text(_file())
    workspace = Workspace.open(tmp_path / "workspace")
    crawled: Crawled = crawl(workspace, CrawlOptions(from_file=tmp_path / "g.toml", endpoint=wild_hub.endpoint))
    assert crawled.new == ("me/mix",)
    again = crawl(workspace, CrawlOptions(from_file=tmp_path / "g.toml", endpoint=wild_hub.endpoint))
    assert (again.new, again.changed, again.kept) == ((), (), ())
    assert [entry.revision for entry in read_catalog(workspace)] == [entry.revision for entry in crawled.entries]


def test_the_summary_says_why_a_local_generator_cannot_be_sampled_and_the_explanation_what_the_user_said(
    tmp_path: Path, wild_hub: HubProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "mix.safetensors")
    (tmp_path / "g.toml").write_text(f'models = ["./gone"]\n{_file(license="mit")}\nsteps = 3')
    workspace = Workspace.open(tmp_path / "workspace")
    crawled = crawl(workspace, CrawlOptions(from_file=tmp_path / "g.toml", endpoint=wild_hub.endpoint))
    print_summary(crawled, workspace.catalog)
    printed = " ".join(capsys.readouterr().out.split())
    assert "local/gone: malformed: its path cannot be read: No such file or directory" in printed
    told = {name: source for name, _, source in explain(crawled.entries[-1])}
    said = "the file of cf-crawl --from"
    assert {told[name] for name in ("license", "num_inference_steps", "model_name", "link", "single_file")} == {said}
    assert told["downloads"] == "not on a Hub"
