"""Unmodified clients use this Hub: huggingface_hub and the libraries that use it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from localhub.process import HubProcess
from tests.hubs import fill, run_client
from tests.localhub.conftest import CARD, WEIGHTS
from tests.scale import weekly


@pytest.fixture
def reader(shown: HubProcess) -> HfApi:
    return HfApi(endpoint=shown.endpoint, token=False)


# Reading


def test_models_are_listed_filtered_sorted_and_paged(reader: HfApi) -> None:
    everything = list(
        reader.list_models(sort="downloads", expand=["downloads", "downloadsAllTime", "gated", "cardData"])
    )
    assert [model.downloads for model in everything] == sorted((m.downloads for m in everything), reverse=True)
    assert everything[0].id == "zoo/sd"
    assert (everything[0].downloads_all_time, everything[0].card_data["license"]) == (900, "mit")
    assert "zoo/secret" not in {model.id for model in everything}
    assert [m.id for m in reader.list_models(filter=["diffusers", "license:mit"], search="SD")] == ["zoo/sd"]
    assert [m.id for m in reader.list_models(pipeline_tag="text-to-image", author="zoo", gated=False)] == ["zoo/sd"]
    assert {m.id for m in reader.list_models(gated=True)} == {"zoo/gated", "zoo/manual"}
    assert len(list(reader.list_models(search="small", limit=5))) == 5
    full = next(iter(reader.list_models(search="zoo/sd", full=True, cardData=True, fetch_config=True)))
    assert full.config == {"diffusers": {"_class_name": "StableDiffusionPipeline"}}
    assert [s.rfilename for s in full.siblings or ()][1:3] == ["README.md", "a b/ü.txt"]
    assert [d.id for d in reader.list_datasets()] == ["zoo/table"]


def test_a_model_has_its_files_and_their_hashes(reader: HfApi) -> None:
    info = reader.model_info("zoo/sd", files_metadata=True)
    assert (info.library_name, info.pipeline_tag, info.likes, info.author) == ("diffusers", "text-to-image", 7, "zoo")
    large = next(sibling for sibling in info.siblings or () if sibling.lfs)
    assert (large.size, large.lfs and large.lfs.size) == (len(WEIGHTS), len(WEIGHTS))
    assert reader.model_info("zoo/sd", revision=info.sha).sha == info.sha
    assert reader.model_info("zoo/sd", expand=["baseModels"]).base_models["models"][0]["id"] == "zoo/base"
    assert reader.dataset_info("zoo/table").sha


def test_trees_and_paths(reader: HfApi) -> None:
    flat = {entry.path for entry in reader.list_repo_tree("zoo/sd")}
    assert flat == {".gitattributes", "README.md", "a b", "model_index.json", "unet"}
    below = [entry.path for entry in reader.list_repo_tree("zoo/sd", recursive=True, expand=True)]
    assert {"a b/ü.txt", "unet/diffusion.safetensors"} <= set(below)
    assert [entry.path for entry in reader.list_repo_tree("zoo/sd", "a b")] == ["a b/ü.txt"]
    found = reader.get_paths_info("zoo/sd", ["a b/ü.txt", "unet", "none"], expand=True)
    assert [type(entry).__name__ for entry in found] == ["RepoFile", "RepoFolder"]
    assert found[0].last_commit is not None
    assert found[0].last_commit.title == "files"
    assert [commit.title for commit in reader.list_repo_commits("zoo/sd")] == ["files", "initial commit"]
    assert [branch.name for branch in reader.list_repo_refs("zoo/sd").branches] == ["main"]
    assert reader.file_exists("zoo/sd", "a b/ü.txt")
    assert not reader.file_exists("zoo/sd", "none")
    assert not reader.revision_exists("zoo/sd", "none")
    assert not reader.repo_exists("zoo/none")


def test_errors_become_the_clients_own_exceptions(shown: HubProcess, reader: HfApi, tmp_path: Path) -> None:
    def download(repo: str, file: str = "w.bin", token: str | bool = False, **options: str) -> str:
        return reader.hf_hub_download(repo, file, token=token, cache_dir=tmp_path, **options)

    with pytest.raises(RepositoryNotFoundError):
        reader.model_info("zoo/none")
    with pytest.raises(RepositoryNotFoundError):
        download("zoo/secret")
    with pytest.raises(RevisionNotFoundError):
        download("zoo/sd", revision="none")
    with pytest.raises(EntryNotFoundError):
        download("zoo/sd")
    with pytest.raises(DisabledRepoError):
        reader.model_info("zoo/taken-down")
    with pytest.raises(GatedRepoError):
        download("zoo/gated")
    with pytest.raises(GatedRepoError):
        download("zoo/manual", token="hf_room_reader")
    with pytest.raises(GatedRepoError):
        reader.auth_check("zoo/gated")
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        reader.whoami(token="hf_unknown")
    for repo in ("zoo/gated", "zoo/secret"):
        assert Path(download(repo, token="hf_room_reader")).read_bytes() == b"w"
    reader.auth_check("zoo/gated", token="hf_room_reader")
    assert reader.whoami(token="hf_room_writer")["name"] == "writer"
    assert reader.model_info("zoo/gated").gated == "auto"


def test_writing_needs_a_token_of_that_role(shown: HubProcess, reader: HfApi) -> None:
    for token in (False, "hf_room_reader"):
        with pytest.raises(HfHubHTTPError):
            reader.create_repo("me/new", token=token)
        with pytest.raises(HfHubHTTPError):
            reader.delete_repo("zoo/sd", token=token)
        with pytest.raises(HfHubHTTPError):
            reader.upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="zoo/sd", token=token)
    assert reader.create_repo("mine", token="hf_room_writer").repo_id == "writer/mine"
    reader.upload_file(path_or_fileobj=b"x" * 50, path_in_repo="x.bin", repo_id="writer/mine", token="hf_room_writer")
    reader.delete_repo("writer/mine", token="hf_room_writer")


# Downloading


def test_downloads_are_cached_by_content(shown: HubProcess, reader: HfApi, tmp_path: Path) -> None:
    snapshot = Path(reader.snapshot_download("zoo/sd", cache_dir=tmp_path, allow_patterns=["*.safetensors", "a b/*"]))
    assert sorted(path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*.*")) == [
        "a b/ü.txt",
        "unet/diffusion.safetensors",
    ]
    assert (snapshot / "unet/diffusion.safetensors").read_bytes() == WEIGHTS
    assert snapshot.name == reader.model_info("zoo/sd").sha
    shown.clear_requests()
    again = reader.hf_hub_download("zoo/sd", "unet/diffusion.safetensors", revision=snapshot.name, cache_dir=tmp_path)
    assert Path(again).read_bytes() == WEIGHTS
    assert shown.requests() == []


def test_a_broken_download_is_resumed(hub: HubProcess, api: HfApi, tmp_path: Path) -> None:
    content = os.urandom(25 << 20)
    fill(hub.directory, "zoo/large", {"w.bin": content})
    hub.fail("drop", method="GET", path="w.bin", after=21 << 20, times=1)
    assert Path(api.hf_hub_download("zoo/large", "w.bin", cache_dir=tmp_path)).read_bytes() == content
    asked = [row["range"] for row in hub.requests() if row["method"] == "GET" and row["path"].endswith("w.bin")]
    assert asked == [None, f"bytes={20 << 20}-"]


# Uploading


def test_the_life_of_a_repository(hub: HubProcess, api: HfApi, tmp_path: Path) -> None:
    assert api.create_repo("me/model").repo_id == "me/model"
    assert api.create_repo("me/model", exist_ok=True).repo_id == "me/model"
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("me/model")

    folder = tmp_path / "folder"
    (folder / "unet").mkdir(parents=True)
    (folder / "README.md").write_bytes(CARD)
    (folder / "unet" / "w.safetensors").write_bytes(WEIGHTS)
    (folder / "empty.bin").write_bytes(b"")
    first = api.upload_folder(repo_id="me/model", folder_path=folder, commit_message="all of it")
    assert api.model_info("me/model").sha == first.oid
    assert api.list_repo_commits("me/model")[0].title == "all of it"
    hub.clear_requests()
    again = api.upload_folder(repo_id="me/model", folder_path=folder)
    assert again.oid == first.oid, "nothing changed, so nothing is committed"
    assert not [row for row in hub.requests() if row["method"] == "PUT" or "/commit/" in row["path"]]

    (folder / "unet" / "w.safetensors").unlink()
    api.upload_folder(repo_id="me/model", folder_path=folder, delete_patterns="*.safetensors")
    operations = [CommitOperationAdd("x.txt", b"x"), CommitOperationDelete("empty.bin")]
    api.create_commit("me/model", operations, commit_message="c", parent_commit=api.model_info("me/model").sha)
    assert set(api.list_repo_files("me/model")) == {".gitattributes", "README.md", "x.txt"}
    assert "unet/w.safetensors" in api.list_repo_files("me/model", revision=first.oid)

    api.create_tag("me/model", tag="v1", revision=first.oid)
    api.create_branch("me/model", branch="dev/x", revision="v1")
    api.upload_file(path_or_fileobj=b"y", path_in_repo="y.txt", repo_id="me/model", revision="dev/x")
    assert api.file_exists("me/model", "y.txt", revision="dev/x")
    assert not api.file_exists("me/model", "y.txt")
    refs = api.list_repo_refs("me/model")
    assert ({b.name for b in refs.branches}, {t.name for t in refs.tags}) == ({"main", "dev/x"}, {"v1"})
    api.delete_tag("me/model", tag="v1")
    api.delete_branch("me/model", branch="dev/x")
    with pytest.raises(HfHubHTTPError):
        api.delete_branch("me/model", branch="main")
    listed = api.list_repo_files("me/model")
    with pytest.raises(HfHubHTTPError, match="404"):
        api.super_squash_history("me/model", branch="none")
    api.super_squash_history("me/model", commit_message="all in one")
    assert [commit.title for commit in api.list_repo_commits("me/model")] == ["all in one"]
    assert api.list_repo_files("me/model") == listed

    api.update_repo_settings("me/model", gated="auto", private=True)
    assert (api.model_info("me/model").gated, api.model_info("me/model").private) == ("auto", True)
    api.delete_repo("me/model")
    api.delete_repo("me/model", missing_ok=True)
    assert not api.repo_exists("me/model")


def test_a_card_with_broken_metadata_is_refused(hub: HubProcess, api: HfApi) -> None:
    api.create_repo("me/data", repo_type="dataset")
    broken = b"---\nlicense: [mit\n---\n"
    with pytest.raises(ValueError, match="Invalid metadata"):
        api.upload_file(path_or_fileobj=broken, path_in_repo="README.md", repo_id="me/data", repo_type="dataset")


def test_uploads_are_retried_by_the_client(hub: HubProcess, api: HfApi) -> None:
    api.create_repo("me/model")
    hub.fail("status", method="PUT", status=503, times=1)
    hub.fail("status", path="preupload", status=429, headers={"Retry-After": "0"}, times=1)
    api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="w.bin", repo_id="me/model")
    assert [rule["applied"] for rule in hub.faults()] == [1, 1]
    assert api.get_paths_info("me/model", "w.bin")[0].size == len(WEIGHTS)


def test_the_command_line_client(hub: HubProcess, tmp_path: Path) -> None:
    def hf(*arguments: str) -> str:
        environment = {**os.environ, **hub.environment("hf_any"), "HF_HOME": str(tmp_path / "home")}
        command = [str(Path(sys.executable).with_name("hf")), *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return ended.stdout

    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "w.bin").write_bytes(WEIGHTS)
    (tmp_path / "up" / "a.txt").write_text("a")
    hf("upload", "me/model", str(tmp_path / "up"), ".")
    hf("download", "me/model", "--local-dir", str(tmp_path / "down"))
    assert (tmp_path / "down" / "w.bin").read_bytes() == WEIGHTS
    assert "me/model" in hf("models", "ls", "--search", "me/")


# Libraries that use huggingface_hub


MODELS = """
import torch
from diffusers import DDPMPipeline, DDPMScheduler, DiffusionPipeline, UNet2DModel
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizer

unet = UNet2DModel(sample_size=8, block_out_channels=(32, 32), layers_per_block=1,
                   down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2)
DDPMPipeline(unet, DDPMScheduler()).push_to_hub("zoo/ddpm")
open("vocab.txt", "w").write("[PAD] [UNK] [CLS] [SEP] [MASK] a b".replace(" ", "\\n"))
config = BertConfig(vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
BertModel(config).push_to_hub("zoo/bert")
BertTokenizer("vocab.txt").push_to_hub("zoo/bert")

pipeline = DiffusionPipeline.from_pretrained("zoo/ddpm")
image = pipeline(num_inference_steps=2, generator=torch.Generator().manual_seed(1)).images[0]
print(type(pipeline).__name__, image.size)
print(all(torch.equal(a, b) for a, b in zip(pipeline.unet.parameters(), unet.parameters())))
print(AutoModel.from_pretrained("zoo/bert").config.hidden_size)
print(AutoTokenizer.from_pretrained("zoo/bert").vocab_size)
"""


@weekly("localhub/test_clients.py::test_the_life_of_a_repository")
def test_diffusers_and_transformers_load_what_they_pushed(
    hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run_client(hub, MODELS, token="hf_any", home=tmp_path / "home", tensors=True)
    assert said.splitlines() == ["DDPMPipeline (8, 8)", "True", "8", "7"]
    listed = HfApi(endpoint=hub.endpoint).model_info("zoo/ddpm")
    assert (listed.library_name, "diffusers:DDPMPipeline" in (listed.tags or ())) == ("diffusers", True)


DATASETS = """
import datasets, pandas
from datasets import Dataset, load_dataset
from huggingface_hub import HfFileSystem

# This Hub has no dataset viewer; datasets would send a DNS request for datasets-server.127.0.0.1.
datasets.config.USE_PARQUET_EXPORT = False

rows = {"n": list(range(100)), "text": [str(n) for n in range(100)]}
Dataset.from_dict(rows).push_to_hub("me/numbers", num_shards=2)
Dataset.from_dict({"n": [1000]}).push_to_hub("me/numbers", "other", split="test")
pandas.DataFrame({"n": [1, 2, 3]}).to_parquet("hf://datasets/me/numbers/extra/three.parquet")

print(sum(load_dataset("me/numbers", split="train", token=False)["n"]))
print(sum(row["n"] for row in load_dataset("me/numbers", split="train", streaming=True, token=False)))
print(load_dataset("me/numbers", "other", token=False)["test"]["n"][0])
print(pandas.read_parquet("hf://datasets/me/numbers/extra/three.parquet")["n"].sum())
print(len(HfFileSystem().glob("datasets/me/numbers/**/train-*.parquet")))
print(load_dataset("zoo/table", split="train", token=False)[0])
"""


def test_datasets_and_pandas_read_what_they_pushed(hub: HubProcess, tmp_path: Path) -> None:
    fill(hub.directory, "zoo/table", {"data.csv": b"a,b\n1,2\n"}, kind="dataset")
    HfApi(endpoint=hub.endpoint, token="hf_any").create_repo("me/numbers", repo_type="dataset")
    said = run_client(hub, DATASETS, token="hf_any", home=tmp_path / "home")
    assert said.splitlines() == ["4950", "4950", "1000", "6", "2", "{'a': 1, 'b': 2}"]
