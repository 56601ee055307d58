"""More images, sources and own prompts are parts of their own, and no row of an earlier round changes."""

from pathlib import Path

import pytest

from captioning.prompt import Prompt, prompt_parts, read_prompts, require_all_parts
from captioning.skipped import skipped_parts
from tests.captioning.oddities import encoded, picture
from tests.captioning.runs import caption_here
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photographs with captions, and a file that is none."""
    for number in (2, 4, 6):
        photograph(tmp_path / "photos", number)
    (tmp_path / "photos" / "5.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


def photograph(folder: Path, number: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.jpg").write_bytes(encoded(picture(16 + number, 16), "JPEG"))
    (folder / f"{number}.txt").write_text(f"photograph number {number}")


def run(tmp_path: Path, sources: dict[str, Path], **options: object) -> Workspace:
    root = tmp_path / "workspace"
    caption_here(root, sources, **{"part_size": 2, **options})
    return Workspace(root)


def content(workspace: Workspace) -> dict[str, tuple[bytes, int]]:
    paths = (*prompt_parts(workspace), *skipped_parts(workspace))
    return {path.relative_to(workspace.root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def in_rounds(prompts: list[Prompt]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for prompt in prompts:
        found.setdefault(prompt.round, []).append(prompt.prompt_id)
    return found


def test_more_photographs_of_a_source_are_parts_of_their_own(tmp_path: Path, photos: Path) -> None:
    workspace = run(tmp_path, {"photos": photos})
    before = content(workspace)
    for number in (1, 3, 7):
        photograph(photos, number)
    with pytest.raises(UsageError, match=r"\[caption\] sources.photos changed. .* add --update"):
        run(tmp_path, {"photos": photos})
    for _ in range(2):
        run(tmp_path, {"photos": photos}, update=True)
        after = content(workspace)
        assert {path: after[path] for path in before} == before
        assert sorted(after.keys() - before.keys()) == [
            f"prompts/photos/part-0000{number}.parquet" for number in (2, 3)
        ]
        assert in_rounds(read_prompts(workspace)) == {
            1: ["photos/2.jpg", "photos/4.jpg", "photos/6.jpg"],
            2: ["photos/1.jpg", "photos/3.jpg", "photos/7.jpg"],
        }
    # The settings are known now: the command continues the round, as each shard of it does.
    run(tmp_path, {"photos": photos}, shard="2/2")
    assert len(recipe.rounds(workspace)) == 2


def test_a_round_can_be_captioned_by_shards_one_after_the_other(tmp_path: Path, photos: Path) -> None:
    run(tmp_path, {"photos": photos})
    for number in (1, 3, 7):
        photograph(photos, number)
    workspace = run(tmp_path, {"photos": photos}, update=True, shard="1/2")
    with pytest.raises(UsageError, match="photos has 3 of 4 parts"):
        require_all_parts(workspace)
    run(tmp_path, {"photos": photos}, update=True, shard="2/2")
    require_all_parts(workspace)
    assert len(read_prompts(workspace)) == 6


def test_a_larger_limit_adds_the_images_beyond_the_smaller_one(tmp_path: Path, photos: Path) -> None:
    (photos / "5.jpg").unlink()
    workspace = run(tmp_path, {"photos": photos}, limit=1)
    (first,) = read_prompts(workspace)
    run(tmp_path, {"photos": photos}, limit=3, update=True)
    rounds = in_rounds(read_prompts(workspace))
    assert (rounds[1], len(rounds[2])) == ([first.prompt_id], 2)


def test_a_source_that_is_added_need_not_come_with_the_others(tmp_path: Path, photos: Path) -> None:
    workspace = run(tmp_path, {"photos": photos})
    photograph(tmp_path / "more", 8)
    run(tmp_path, {"more": tmp_path / "more"}, update=True)
    assert in_rounds(read_prompts(workspace))[2] == ["more/8.jpg"]
    assert recipe.rounds(workspace)[1].tables["caption"]["parts"] == {"more": 1}
    # The command of the first round still heals its parts.
    part = workspace.prompts_of("photos") / "part-00000.parquet"
    whole = part.read_bytes()
    part.write_bytes(b"damaged")
    run(tmp_path, {"photos": photos})
    assert part.read_bytes() == whole


def test_photographs_that_are_gone_are_told_and_their_prompts_stay(
    tmp_path: Path, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, {"photos": photos})
    (photos / "2.jpg").unlink()
    photograph(photos, 9)
    workspace = run(tmp_path, {"photos": photos}, update=True)
    assert "photos: images of earlier rounds that are not selected any more: 1; they stay" in capfd.readouterr().err
    assert in_rounds(read_prompts(workspace))[1][0] == "photos/2.jpg"


def test_own_prompts_may_get_more_lines_and_no_other_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("a cat\na dog\n")
    workspace = run(tmp_path, {}, prompts=(str(file),))
    file.write_text("a cat\na dog\na horse\n")
    run(tmp_path, {}, prompts=(str(file),), update=True)
    assert [(prompt.prompt, prompt.round) for prompt in read_prompts(workspace)] == [
        ("a cat", 1),
        ("a dog", 1),
        ("a horse", 2),
    ]
    file.write_text("a cat\na red dog\na horse\na cow\n")
    with pytest.raises(UsageError, match=r"prompt 2 of mine is not what it was \('a dog'\): add prompts at the end"):
        run(tmp_path, {}, prompts=(str(file),), update=True)


def test_a_round_waits_for_the_parts_of_the_one_before(tmp_path: Path, photos: Path) -> None:
    workspace = run(tmp_path, {"photos": photos})
    (workspace.prompts_of("photos") / "part-00001.parquet").unlink()
    photograph(photos, 9)
    with pytest.raises(UsageError, match=r"is not complete .photos has 1 of 2 parts"):
        run(tmp_path, {"photos": photos}, update=True)
    assert len(recipe.rounds(workspace)) == 1
