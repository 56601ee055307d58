"""The twelve known data sets, each read from a tree with the layout of its download: its images and no others."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from captioning.prompt import read_prompts
from captioning.selection import select
from captioning.sources.registry import KNOWN
from manifests.images import ImageReader
from tests.captioning.runs import caption_here
from tests.captioning.trees import WRITERS, Expected, write_all
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.locator import LocatorReader


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Expected]]:
    root = tmp_path_factory.mktemp("trees") / "real"
    return root, write_all(root)


def test_the_registry_knows_the_sources_of_the_published_dataset() -> None:
    assert set(KNOWN) == set(WRITERS)
    published = "LAION, ImageNet, COCO, FFHQ, CelebA, MetFaces, AFHQ, Forchheim, IMD2020, Landscapes HQ, VISION, RAISE"
    assert {source.title for source in KNOWN.values()} == set(published.split(", "))


@pytest.mark.parametrize("name", WRITERS)
def test_a_tree_is_read_with_its_captions_and_without_other_files(
    trees: tuple[Path, dict[str, Expected]], name: str
) -> None:
    root, expected = trees[0], trees[1][name]
    selection = select(name, root / name)
    images = {real_id: selection.collection.image(real_id) for real_id in selection.ids}
    assert {real_id: image.captions for real_id, image in images.items()} == expected.images
    reader = LocatorReader()
    for image in images.values():
        assert len(reader.read(image.path)) > 100


def test_all_twelve_become_prompts_with_the_right_captions_licences_and_counts(
    trees: tuple[Path, dict[str, Expected]], tmp_path: Path
) -> None:
    root, expected = trees
    summaries = caption_here(tmp_path, {name: root / name for name in WRITERS})
    assert {summary.name: (summary.from_dataset + summary.generated, summary.skipped) for summary in summaries} == {
        name: (len(one.images), {}) for name, one in expected.items()
    }
    prompts = read_prompts(Workspace.open(tmp_path))
    for name, one in expected.items():
        ours = {prompt.real_id: prompt for prompt in prompts if prompt.real_source == name}
        assert {real_id: prompt.captions for real_id, prompt in ours.items()} == one.images
        assert {i: (prompt.license, prompt.redistributable) for i, prompt in ours.items()} == one.licenses
        known = {(prompt.real_title, prompt.license_link) for prompt in ours.values()}
        assert known == {(KNOWN[name].title, KNOWN[name].license_link)}
        for real_id, prompt in ours.items():
            own = [caption.rstrip(".") for caption in one.images[real_id]]
            assert prompt.caption_origin == ("dataset" if own else "generated")
            assert not own or prompt.prompt.rstrip(".") in own
    assert all(str(prompt.real_path).startswith(f"root://{prompt.real_source}/") for prompt in prompts)
    images = ImageReader(Workspace(tmp_path))
    assert all(
        hashlib.sha256(images.read(str(prompt.real_path))).hexdigest() == prompt.real_sha256 for prompt in prompts
    )


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "laion"])
def test_another_tree_is_refused_with_what_the_data_set_needs(
    trees: tuple[Path, dict[str, Expected]], tmp_path: Path, name: str
) -> None:
    (tmp_path / "holiday").mkdir()
    shutil.copy(next((trees[0] / "afhq").rglob("*.jpg")), tmp_path / "holiday/beach.jpg")
    with pytest.raises(UsageError, match="holiday") as refused:
        select(name, tmp_path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"--source {name}: {tmp_path}")


@pytest.mark.parametrize(
    ("name", "tree", "like"), [("ffhq", "afhq", "AFHQ"), ("coco", "vision", "VISION"), ("raise", "coco", "COCO")]
)
def test_a_tree_under_a_wrong_name_is_recognized(
    trees: tuple[Path, dict[str, Expected]], name: str, tree: str, like: str
) -> None:
    with pytest.raises(UsageError, match=f"; this looks like {like}$") as refused:
        select(name, trees[0] / tree)
    assert "\n" not in str(refused.value)


def test_of_several_forms_of_the_same_images_the_best_one_is_read(
    trees: tuple[Path, dict[str, Expected]], tmp_path: Path
) -> None:
    folder = tmp_path / "lhq"
    shutil.copytree(trees[0] / "lhq", folder)
    shutil.rmtree(folder / "lhq_1024_jpg")
    assert list(select("lhq", folder).ids) == ["lhq_256/0000000.png", "lhq_256/0000001.png"]
    shutil.copytree(folder / "lhq_256", folder / "LHQ")
    assert list(select("lhq", folder).ids) == ["LHQ/0000000.png", "LHQ/0000001.png"]
    assert list(select("lhq", folder / "lhq_256").ids) == ["0000000.png", "0000001.png"]


def test_a_pattern_starts_at_the_start_of_a_name(trees: tuple[Path, dict[str, Expected]], tmp_path: Path) -> None:
    folder = shutil.copytree(trees[0] / "afhq", tmp_path / "afhq")
    expected = list(select("afhq", folder).ids)
    shutil.copytree(folder / "train", folder / "pretrain")
    shutil.copytree(folder / "train", folder / "copy/train")
    assert list(select("afhq", folder).ids) == sorted(
        expected + [f"copy/{i}" for i in expected if i.startswith("train")]
    )


def test_a_known_name_is_known_in_capitals_too(trees: tuple[Path, dict[str, Expected]]) -> None:
    assert select("MetFaces", trees[0] / "metfaces").source is KNOWN["metfaces"]


def test_raise_with_raw_files_only_is_skipped_and_listed(
    trees: tuple[Path, dict[str, Expected]], tmp_path: Path
) -> None:
    shutil.copytree(trees[0] / "raise/NEF", tmp_path / "raise/NEF")
    (summary,) = caption_here(tmp_path / "w", {"raise": tmp_path / "raise"})
    assert summary.skipped == {"not-an-image": 2}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"0": 1}', '{"0": {"metadata": {}} "1"', '{"0": {"metadata": 3}}'])
def test_invalid_metadata_of_ffhq_is_refused_with_one_line(
    trees: tuple[Path, dict[str, Expected]], tmp_path: Path, content: str
) -> None:
    folder = shutil.copytree(trees[0] / "ffhq", tmp_path / "ffhq")
    (folder / "ffhq-dataset-v2.json").write_text(content)
    with pytest.raises(UsageError, match=r"ffhq-dataset-v2\.json") as refused:
        select("ffhq", folder)
    assert "\n" not in str(refused.value)


def test_metadata_longer_than_one_chunk_is_read_entry_by_entry(tmp_path: Path) -> None:
    (tmp_path / "images1024x1024").mkdir()
    entries = {}
    for number in range(60):
        (tmp_path / f"images1024x1024/{number:05d}.png").write_bytes(b"x")
        link = f"https://creativecommons.org/licenses/by/{number}.0/"
        entries[str(number)] = {"metadata": {"license_url": link}, "landmarks": ["ü" * 50_000, number]}
    (tmp_path / "ffhq-dataset-v2.json").write_text(json.dumps(entries, indent=3, ensure_ascii=False), encoding="utf-8")
    collection = select("ffhq", tmp_path).collection
    assert [collection.image(real_id).license for real_id in collection.ids] == [f"cc-by-{n}.0" for n in range(60)]
