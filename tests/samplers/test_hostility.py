"""A shard of harmless and malicious generators: each of these fails alone, and nothing of it runs or remains."""

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.catalog import CatalogEntry, Hyperparameters, ModelFile
from localhub.process import HubProcess
from localhub.store import Store
from samplers.options import SampleOptions
from samplers.outcomes import Outcome
from samplers.running.supervisor import Report, sample
from samplers.sample import read_samples
from tests.samplers import hostile
from tests.samplers.child.making import save_stable_diffusion
from tests.samplers.conftest import BASE, CLASSES, ENDLESS, PIXELS
from tests.samplers.hostile import UNET, config, header, pickled_as, replaced
from tests.samplers.inputs import PROMPTS, build, entry_of, model_files, write_catalog, write_prompts
from workspace.layout import Workspace

#: By name: the pipeline it is made from, the change, the status it must get, and words of the detail.
HOSTILE: dict[str, tuple[str, Callable[[Path], Any], str, str]] = {
    "header-length": ("pixels", replaced(UNET, (2**60).to_bytes(8, "little") + b"{}"), "load-failed", "unet: "),
    "header-shape": (
        "pixels",
        header(lambda tensors, names: tensors[names[0]].update(shape=[2**40, 2**40])),
        "load-failed",
        "unet: ",
    ),
    "header-overlap": (
        "pixels",
        header(lambda tensors, names: tensors[names[1]].update(tensors[names[0]])),
        "load-failed",
        "unet: ",
    ),
    "header-dtype": (
        "pixels",
        header(lambda tensors, names: tensors[names[0]].update(dtype="X99")),
        "load-failed",
        "unet: ",
    ),
    "header-beyond": ("pixels", hostile.cut, "load-failed", "unet: "),
    "header-bomb": ("pixels", replaced(UNET, (10**6).to_bytes(8, "little") + b"[" * 10**6), "load-failed", "unet: "),
    "pickle-unet": ("pixels", pickled_as(UNET), "load-failed", "unet: "),
    "pickle-encoder": ("words", pickled_as("text_encoder/model.safetensors"), "load-failed", "text_encoder: "),
    "pickle-bin": ("pixels", lambda folder: _only_a_pickle(folder), "load-failed", "unet: .*safetensors"),
    "gguf": ("pixels", hostile.as_gguf, "load-failed", "unet: .*safetensors"),
    "wide": (
        "pixels",
        config("unet/config.json", block_out_channels=[10**6, 10**6]),
        "load-failed",
        "asks for more weights than its",
    ),
    "deep": ("words", config("text_encoder/config.json", num_hidden_layers=10**9), "load-failed", "asks for more"),
    "nested": ("pixels", replaced("unet/config.json", b'{"a":' * 10**5), "load-failed", "RecursionError"),
    "steps": (
        "pixels",
        config("scheduler/scheduler_config.json", num_train_timesteps=10**12),
        "out-of-memory",
        "can't allocate memory",
    ),
    "system": ("pixels", config("model_index.json", scheduler=["os", "system"]), "load-failed", "not installed here"),
    "program": (
        "pixels",
        config("model_index.json", scheduler=["subprocess", "Popen"]),
        "load-failed",
        "not installed here",
    ),
    "climbing": (
        "pixels",
        config("model_index.json", **{"../../tests--victim/model/unet": ["diffusers", "UNet2DModel"]}),
        "load-failed",
        "is not a valid component name",
    ),
    "shards": ("pixels", hostile.shards_elsewhere, "load-failed", "which is not a file beside it"),
    "adapter": ("words", hostile.adapter_elsewhere, "load-failed", "adapter to weights in another place"),
    "huge": ("words", lambda folder: None, "out-of-memory", "can't allocate memory"),
    "swelling": ("words", hostile.swelling_tokenizer, "out-of-memory", "memory allocation of [0-9]+ bytes failed"),
    "not-numbers": ("pixels", hostile.not_numbers, "exhausted", "0 of 2 images"),
}
_ARGUMENTS = {"huge": {"hyperparameters": Hyperparameters(num_inference_steps=2, height=800_000, width=800_000)}}


def _only_a_pickle(folder: Path) -> None:
    (folder / UNET).unlink()
    pickled_as("unet/diffusion_pytorch_model.bin")(folder)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders that the hostile ones are made of."""
    from demo.zoo.unconditional import ddim

    root = tmp_path_factory.mktemp("honest")
    ddim().save_pretrained(root / "pixels")
    return {"pixels": root / "pixels", "words": save_stable_diffusion(root / "words")}


@pytest.fixture(scope="module")
def attacked(
    store: Store, hub: HubProcess, honest: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Report, Path]:
    """One run over all of them, with honest generators before, between and after."""
    folder = tmp_path_factory.mktemp("attacked")
    entries: list[CatalogEntry] = []

    def add(name: str, **changes: Any) -> None:
        entries.append(entry_of(store, name, len(entries) + 1, **changes))

    add(PIXELS)
    for name, (made_of, change, _, _) in HOSTILE.items():
        made = shutil.copytree(honest[made_of], folder / "made" / name)
        change(made)
        build(store, f"tests/{name}", made)
        task = "text-to-image" if made_of == "words" else "unconditional"
        add(f"tests/{name}", task=task, **_ARGUMENTS.get(name, {}))
    for kind, file in (("lora", "pytorch_lora_weights"), ("textual-inversion", "learned_embeds")):
        pickled_as(f"{file}.safetensors")(folder / "made" / kind)
        build(store, f"tests/{kind}", folder / "made" / kind)
        revision, files = model_files(store, BASE)
        about = {"kind": kind, "base_model": BASE, "base_revision": revision, "base_files": files}
        add(f"tests/{kind}", **about)
    add(BASE)
    # Rows that no crawl would write: a file that leaves the folder, and code.
    outside = ModelFile(path="unet/../../../escaped", size=1, sha256="0" * 64)
    add(CLASSES)
    entries.append(dataclasses.replace(entry_of(store, ENDLESS, 90), files=(outside,), model_name="tests/outside"))
    made = shutil.copytree(honest["pixels"], folder / "made" / "code")
    hostile.code(made)
    build(store, "tests/code", made)
    entries.append(entry_of(store, "tests/code", 91, task="unconditional"))
    build(store, "tests/last", honest["pixels"])
    entries.append(entry_of(store, "tests/last", 92, task="unconditional"))
    shutil.rmtree(folder / "made")

    workspace = Workspace.open(folder / "workspace")
    write_catalog(workspace, entries)
    write_prompts(workspace, PROMPTS)
    options = SampleOptions(
        images=2, endpoint=hub.endpoint, weights_dir=folder / "weights", device="cpu", timeout=25, max_memory=4
    )
    return workspace, sample(workspace, options), folder


def _outcome(report: Report, name: str) -> Outcome:
    return next(outcome for outcome in report.outcomes if outcome.model_name == name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_malicious_repository_is_recorded_with_its_reason(
    attacked: tuple[Workspace, Report, Path], name: str
) -> None:
    outcome = _outcome(attacked[1], f"tests/{name}")
    _, _, status, words = HOSTILE[name]
    assert (outcome.status, outcome.kept) == (status, 0)
    assert re.search(words, str(outcome.detail)), outcome.detail


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("tests/lora", "load-failed", "the LoRA does not fit its base model: SafetensorError"),
        (
            "tests/textual-inversion",
            "load-failed",
            "learned_embeds.safetensors: SafetensorError",
        ),
        ("tests/outside", "fetch-failed", "is not a valid file name"),
    ],
)
def test_malicious_adapters_and_names_are_recorded(
    attacked: tuple[Workspace, Report, Path], name: str, status: str, words: str
) -> None:
    outcome = _outcome(attacked[1], name)
    assert outcome.status == status, outcome
    assert words in str(outcome.detail)


def test_code_is_not_downloaded(attacked: tuple[Workspace, Report, Path]) -> None:
    _, report, _ = attacked
    assert "unet/my_unet.py" in report.pending.skipped["tests/code"]
    assert "tests/code" not in {outcome.model_name for outcome in report.outcomes}


def test_harmless_generators_between_them_are_sampled(attacked: tuple[Workspace, Report, Path]) -> None:
    workspace, report, _ = attacked
    for name in (PIXELS, BASE, CLASSES, "tests/last"):
        assert _outcome(report, name).status == "done"
        assert len(read_samples(workspace, name)) == len(list(workspace.images_of(name).iterdir())) == 2


def test_no_payload_ran_and_no_file_remains(attacked: tuple[Workspace, Report, Path]) -> None:
    workspace, report, folder = attacked
    for outcome in report.outcomes:
        assert hostile.PAYLOAD not in "\n".join(outcome.stderr)
        assert f"exit code {hostile.PAYLOAD_CODE}" not in str(outcome.detail)
    assert {path.name for path in folder.iterdir()} == {"workspace", "weights"}
    assert list((folder / "weights").iterdir()) == []
    owners = {outcome.model_name.replace("/", "--") for outcome in report.outcomes if outcome.kept}
    assert {path.name for path in workspace.images.iterdir() if any(path.iterdir())} == owners


def test_the_log_has_the_sandbox_layers(attacked: tuple[Workspace, Report, Path]) -> None:
    log = map(json.loads, (attacked[0].logs / "sample-1-of-1.jsonl").read_text().splitlines())
    (ready, *_) = [event for event in log if event["event"] == "child_ready"]
    assert {"audit", "memory"} <= set(ready["sandbox"])
