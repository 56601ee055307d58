"""captioning/stage.py: the same files whatever the shards, an honest summary of them, and no mixing of versions."""

import json
import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from captioning.prompt import read_prompts, require_all_parts
from captioning.selection import select
from demo.zoo.captioner.captions import PHOTOGRAPHS
from tests.captioning.runs import caption_here
from workspace import recipe
from workspace.errors import CommunityForensicsError, UsageError
from workspace.exclusive import alone
from workspace.layout import Workspace

SMALL = {"batch_size": 2, "part_size": 3}


def files(workspace: Path) -> dict[str, bytes]:
    prompts = workspace / "prompts"
    return {str(path.relative_to(prompts)): path.read_bytes() for path in prompts.rglob("*.parquet")}


def test_generated_captions_are_the_same_files_whatever_the_shards(tmp_path: Path, photos: Path) -> None:
    one, three = tmp_path / "one", tmp_path / "three"
    caption_here(one, {"photos": photos}, **SMALL)
    for shard in ("3/3", "1/3", "2/3"):
        (summary,) = caption_here(three, {"photos": photos}, shard=shard, **SMALL)
    assert files(three) == files(one)
    assert len(files(one)) == 6
    assert {prompt.real_id: prompt.prompt for prompt in read_prompts(Workspace(three))} == PHOTOGRAPHS
    assert (summary.parts_done, summary.parts, summary.from_dataset, summary.generated) == (6, 6, 0, 16)


def test_the_summary_counts_the_parts_of_all_shards(tmp_path: Path, digits: Path) -> None:
    sources = {"b": digits, "a": digits}
    first = caption_here(tmp_path, sources, max_per_source=10, shard="1/2", **SMALL)
    assert [(summary.name, summary.images, summary.parts_done, summary.parts) for summary in first] == [
        ("a", 10, 2, 4),
        ("b", 10, 2, 4),
    ]
    second = caption_here(tmp_path, sources, max_per_source=10, shard="2/2", **SMALL)
    counts = [(summary.parts_done, summary.from_dataset, summary.generated) for summary in second]
    assert counts == [(4, 10, 0), (4, 10, 0)]


@pytest.mark.attack
def test_the_walls_around_the_decoders_are_in_the_log_and_a_missing_one_is_said(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CF_WITHOUT_WALL", "landlock")
    caption_here(tmp_path, {"digits": digits}, max_per_source=2, **SMALL)
    events = [
        json.loads(line) for path in (tmp_path / "logs").glob("*.jsonl") for line in path.read_text().splitlines()
    ]
    (walls,) = [event["walls"] for event in events if event["event"] == "part"]
    assert "seccomp" in walls
    assert "landlock" not in walls
    assert "captioned without landlock of the sandbox (docs/sandbox.md)" in [event.get("text") for event in events]


def test_everything_that_changes_a_row_is_in_the_recipe(tmp_path: Path, digits: Path) -> None:
    caption_here(tmp_path, {"digits": digits}, max_per_source=5, **SMALL)
    pinned = recipe.read(Workspace(tmp_path))["caption"]
    assert str(pinned.pop("captioner")).startswith("repository@sha256-")
    assert pinned == {
        "backend": "transformers",
        "prompt": "a picture of",
        "num_beams": 3,
        "max_length": 30,
        "min_length": 10,
        "repetition_penalty": 1.0,
        "length_penalty": 1.0,
        "jpeg_detail": 1.5,
        "batch_size": 2,
        "part_size": 3,
        "max_per_source": 5,
        "sources": {"digits": f"sha256:{select('digits', digits, 5).digest}"},
    }
    with pytest.raises(UsageError, match="batch_size was 2, now 3"):
        caption_here(tmp_path, {"digits": digits}, max_per_source=5, batch_size=3, part_size=3)


def test_a_relative_workspace_is_accepted(tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    caption_here(Path("ws"), {"digits": digits}, limit=1, copy=True)
    (prompt,) = read_prompts(Workspace(tmp_path / "ws"))
    assert (tmp_path / "ws" / prompt.real_path).is_file()


def test_a_workspace_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path, digits: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/digits").write_text("a file where a folder belongs")
    with pytest.raises(CommunityForensicsError, match="cannot be written") as refused:
        caption_here(tmp_path, {"digits": digits}, limit=1)
    assert refused.value.exit_code == 1
    assert str(refused.value).startswith(str(tmp_path / "prompts/digits"))
    assert "run the same command again" in str(refused.value)
    (tmp_path / "prompts/digits").unlink()
    (summary,) = caption_here(tmp_path, {"digits": digits}, limit=1)
    assert summary.from_dataset == 1


def test_a_part_that_is_damaged_is_made_again_by_the_same_command(tmp_path: Path, digits: Path) -> None:
    (digits_with_a_text := tmp_path / "real").mkdir()
    for image in sorted(digits.glob("*"))[:16]:
        shutil.copy(image, digits_with_a_text)
    (digits_with_a_text / "zz.png").write_bytes(b"no image")
    workspace, sources = tmp_path / "workspace", {"digits": digits_with_a_text}
    (summary,) = caption_here(workspace, sources, **SMALL)
    right = files(workspace)
    chosen = random.Random(3)
    for name in ("digits/part-00000.parquet", "digits/part-00001.parquet", "digits/skipped-00002.parquet"):
        assert name in right
        for damage in (lambda content: content[:-9], lambda _: b"", lambda content: _flipped(content, chosen)):
            path = workspace / "prompts" / name
            path.write_bytes(damage(right[name]))
            if path.name != "part-00000.parquet":
                (other,) = caption_here(workspace, sources, shard="1/3", **SMALL)
                assert other.parts_done == summary.parts - 1
            assert caption_here(workspace, sources, **SMALL) == [summary]
            assert files(workspace) == right


def _flipped(content: bytes, chosen: random.Random) -> bytes:
    """A bit of a page changed."""
    changed = bytearray(content)
    changed[changed.index(b"\x28\xb5\x2f\xfd") + 8] ^= 1 << chosen.randrange(8)
    return bytes(changed)


def test_damaged_prompts_are_named_with_the_command_that_makes_them_again(tmp_path: Path, digits: Path) -> None:
    caption_here(tmp_path, {"digits": digits}, limit=3)
    part = tmp_path / "prompts/digits/part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"part-00000.parquet .*damaged: .*; run `cf-caption` again") as refused:
        read_prompts(Workspace(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_second_captioner_of_a_shard_is_refused_in_one_line(
    tmp_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workspace.exclusive.WAIT", 0.05)
    options = {"max_per_source": 6, **SMALL}
    with alone(Workspace(tmp_path), "caption-1-of-2"):
        with pytest.raises(CommunityForensicsError, match="another process is at work") as refused:
            caption_here(tmp_path, {"digits": digits}, shard="1/2", **options)
        assert files(tmp_path) == {}
        caption_here(tmp_path, {"digits": digits}, shard="2/2", **options)
    assert "\n" not in str(refused.value)
    (summary,) = caption_here(tmp_path, {"digits": digits}, shard="1/2", **options)
    assert summary.parts_done == summary.parts


def test_until_every_part_of_every_source_is_there_captioning_has_not_ended(tmp_path: Path, digits: Path) -> None:
    workspace, sources = Workspace(tmp_path), {"b": digits, "a": digits}
    require_all_parts(workspace)  # nothing has begun
    for shard, there in (("1/3", ("a has 1 of 3", "b has 1 of 3")), ("3/3", ("a has 2 of 3", "b has 2 of 3"))):
        caption_here(tmp_path, sources, max_per_source=8, shard=shard, **SMALL)
        with pytest.raises(UsageError, match=r"wait until `cf-caption` has ended") as refused:
            require_all_parts(workspace)
        assert ", ".join(f"{text} parts" for text in there) in str(refused.value)
    caption_here(tmp_path, sources, max_per_source=8, shard="2/3", **SMALL)
    require_all_parts(workspace)
    whole = tmp_path / "prompts/b/part-00001.parquet"
    content = whole.read_bytes()
    whole.unlink()
    with pytest.raises(UsageError, match="b has 2 of 3 parts"):
        require_all_parts(workspace)
    whole.write_bytes(content)
    require_all_parts(workspace)


def test_captioning_that_has_begun_without_a_part_has_not_ended(tmp_path: Path, digits: Path) -> None:
    caption_here(tmp_path, {"digits": digits}, limit=4)
    (tmp_path / "prompts/digits/part-00000.parquet").unlink()
    with pytest.raises(UsageError, match="holds no prompts yet"):
        require_all_parts(Workspace(tmp_path))


def test_prompts_of_another_version_are_refused_with_what_to_do(tmp_path: Path, photos: Path) -> None:
    caption_here(tmp_path, {"photos": photos}, **SMALL)
    folder = tmp_path / "prompts/photos"
    table = pq.read_table(folder / "part-00000.parquet")
    pq.write_table(table.rename_columns({"captions": "texts"}), folder / "part-00000.parquet")
    (folder / "part-00005.parquet").unlink()
    before = files(tmp_path)
    for use in (
        lambda: read_prompts(Workspace(tmp_path)),
        lambda: caption_here(tmp_path, {"photos": photos}, **SMALL),
    ):
        with pytest.raises(UsageError, match=r"part-00000\.parquet was written by another version") as refused:
            use()
        assert f"Or remove {folder} and run `cf-caption` again" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert files(tmp_path) == before
