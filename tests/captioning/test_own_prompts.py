"""Own prompts: every line of a file is a prompt or a skipped row, with and without real images."""

import json
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captioning.options import CaptionOptions
from captioning.prompt import Prompt, read_prompts
from captioning.skipped import Skipped, skipped_parts
from captioning.sources.prompt_file import read_prompt_file
from captioning.stage import caption
from samplers.planning.prompting import PromptPool
from tests.captioning.oddities import encoded, picture
from tests.captioning.runs import caption_here
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.layout import Workspace

JPEG = encoded(picture(), "JPEG")


def captioned(folder: Path, *prompts: object, **options: object) -> list[Prompt]:
    """The prompts of a new workspace, without any source."""
    workspace = Workspace(folder / "workspace")
    caption(workspace, options=CaptionOptions(prompts=tuple(map(str, prompts)), workers=1, **options))  # type: ignore[arg-type]
    return read_prompts(workspace)


def skipped(folder: Path) -> list[tuple[str, str]]:
    rows = [row for part in skipped_parts(Workspace(folder / "workspace")) for row in records.read(part, Skipped)]
    return [(row.real_id, row.detail.partition(":")[0] if row.reason == "caption" else row.reason) for row in rows]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_line_of_text_is_a_prompt_or_a_skipped_row(tmp_path: Path) -> None:
    file = write(tmp_path / "my prompts.txt", "\ufeffa red cat \r\n\r\nnan\n17\n['a', 'b']\na dog, in the snow")
    found = captioned(tmp_path, file)
    assert [(prompt.prompt_id, prompt.prompt) for prompt in found] == [
        ("my-prompts/000000000", "a red cat"),
        ("my-prompts/000000005", "a dog, in the snow"),
    ]
    assert skipped(tmp_path) == [
        ("000000001", "empty"),
        ("000000002", "placeholder"),
        ("000000003", "no-words"),
        ("000000004", "list"),
    ]
    (first, _) = found
    assert (first.real_source, first.real_title, first.caption_origin) == ("my-prompts", "my-prompts", "user")
    none = {name: value for name, value in vars(first).items() if name.startswith("real_") and value is not None}
    assert none.keys() == {"real_source", "real_title"}
    assert (first.weight, first.captioner, first.captions) == (None, None, ())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_text_of_windows_is_read(tmp_path: Path, encoding: str) -> None:
    (prompt,) = captioned(tmp_path, write(tmp_path / "a.txt", "ein Käfer\r\n".encode(encoding)))
    assert prompt.prompt == "ein Käfer"


TABLE = [
    {"prompt": "a cat, on a mat", "image": "cats/1.jpg", "source": None, "weight": 2.5},
    {"prompt": "a dog", "image": None, "source": "more", "weight": None},
    {"prompt": "another dog", "image": None, "source": "more", "weight": 0},
]


def as_csv(delimiter: str) -> str:
    cells = [["Prompt", "image", "source", "weight"]]
    cells += [[("" if value is None else f'"{value}"') for value in row.values()] for row in TABLE]
    return "\n".join(delimiter.join(row) for row in cells) + "\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.csv", as_csv(",")),
        ("own.tsv", as_csv("\t")),
        ("own.CSV", as_csv(";")),
        ("own.jsonl", "\n".join(json.dumps(row) for row in TABLE)),
        ("own.ndjson", "\ufeff" + "\n\n".join(json.dumps(row) for row in TABLE)),
    ],
)
def test_columns_give_the_image_the_set_and_the_weight(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path / "cats/1.jpg", JPEG)
    more, another, cat = captioned(tmp_path, write(tmp_path / name, content))
    assert (more.prompt_id, more.prompt, more.weight) == ("more/000000001", "a dog", None)
    assert (another.prompt_id, another.weight) == ("more/000000002", 0.0)
    assert (cat.prompt_id, cat.prompt, cat.weight) == ("own/000000000", "a cat, on a mat", 2.5)
    assert (cat.real_id, cat.real_path, cat.real_format) == ("cats/1.jpg", "root://own/cats/1.jpg", "JPEG")
    assert (cat.real_width, cat.real_height, cat.real_file_size) == (*picture().size, len(JPEG))
    assert skipped(tmp_path) == []


def test_prompts_that_are_no_texts_are_counted_and_texts_alone_are_prompts(tmp_path: Path) -> None:
    lines = ['"a cat"', '{"prompt": null}', '{"prompt": 7}', '{"prompt": ["a", "b"]}', "[1]", '{"caption": "a dog"}']
    found = captioned(tmp_path, write(tmp_path / "own.jsonl", "\n".join(lines)))
    assert [prompt.prompt for prompt in found] == ["a cat", "a dog"]
    assert [reason for _, reason in skipped(tmp_path)] == ["empty", "not-text", "not-text", "not-text"]


def test_a_prompt_whose_image_cannot_be_read_is_skipped_with_that_reason(tmp_path: Path) -> None:
    write(tmp_path / "private.jpg", JPEG)
    write(tmp_path / "set/broken.jpg", JPEG[:-40])
    (tmp_path / "set/link.jpg").symlink_to(tmp_path / "private.jpg")
    images = ["none.jpg", "broken.jpg", "../private.jpg", str(tmp_path / "private.jpg"), "link.jpg", "\ud800.jpg"]
    lines = [json.dumps({"prompt": f"cat number {number}", "image": image}) for number, image in enumerate(images)]
    assert captioned(tmp_path, write(tmp_path / "set/own.jsonl", "\n".join(lines))) == []
    reasons = [reason for _, reason in skipped(tmp_path)]
    assert reasons == ["missing", "broken", "outside", "outside", "outside", "name"]


def test_absolute_paths_and_another_folder_of_the_images(tmp_path: Path) -> None:
    photos = write(tmp_path / "photos/deep/1.jpg", JPEG).parents[1]
    lines = f"prompt,image\na cat,deep/1.jpg\na dog,{photos / 'deep/1.jpg'}\n"
    file = write(tmp_path / "elsewhere/own.csv", lines)
    found = captioned(tmp_path, file, roots={"own": photos})
    assert [prompt.real_path for prompt in found] == ["root://own/deep/1.jpg"] * 2
    assert len({prompt.prompt_id for prompt in found}) == 2


def test_own_prompts_stand_beside_sources_and_are_the_same_on_any_shards(tmp_path: Path, digits: Path) -> None:
    file = write(tmp_path / "own.txt", "\n".join(f"cat number {number}" for number in range(7)))
    settings_of_all = {"prompts": (f"mine={file}",), "part_size": 3, "limit": 9}
    summaries = caption_here(tmp_path / "one", {"digits": digits}, **settings_of_all)
    for shard in ("2/2", "1/2"):
        caption_here(tmp_path / "two", {"digits": digits}, shard=shard, **settings_of_all)
    one, two = (read_prompts(Workspace(tmp_path / name)) for name in ("one", "two"))
    assert one == two
    assert len(one) == 9 + 7 == sum(summary.images for summary in summaries)
    own = next(summary for summary in summaries if summary.name == "mine")
    assert own.own == own.images == sum(prompt.caption_origin == "user" for prompt in one) == 7


def test_the_recipe_knows_the_prompts_by_their_content(tmp_path: Path) -> None:
    file = write(tmp_path / "own.txt", "a cat\n")
    captioned(tmp_path, f"mine={file}")
    pinned = recipe.read(Workspace(tmp_path / "workspace"))["caption"]["prompts"]
    assert list(pinned) == ["mine"]  # type: ignore[arg-type]
    moved = write(tmp_path / "elsewhere/other.txt", "a cat\n")
    assert [prompt.prompt for prompt in captioned(tmp_path, f"mine={moved}")] == ["a cat"]
    write(file, "a dog\n")
    with pytest.raises(UsageError, match=r"prompts\.mine changed"):
        captioned(tmp_path, f"mine={file}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text_of_it,image\na cat,b.jpg\n", "has no column prompt .*; it has text_of_it, image"),
        ("a.csv", "prompt,weight\na cat, a dog,2\n", "line 2 has 3 values for 2 columns: put texts with commas"),
        ("a.csv", "prompt,weight\na cat,often\n", "prompt 1: weight 'often' is no number of 0 or more"),
        ("a.csv", "prompt,weight\na cat,-1\n", "weight '-1' is no number"),
        ("a.csv", "prompt,weight\na cat,nan\n", "weight 'nan' is no number"),
        ("a.csv", "prompt,source\na cat,../x\n", r"prompt 1: source '../x' cannot name"),
        ("a.csv", "", "has no column prompt"),
        ("a.csv", 'prompt\n"a cat', None),
        ("a.jsonl", '{"prompt": "a cat"}\n{"prompt": \n', "line 2 is not JSON"),
        ("a.jsonl", '{"prompt": "a cat", "weight": true}\n', "weight 'True' is no number"),
        ("a.jsonl", '{"prompt": "a cat", "image": 3}\n', "image 3 is no text"),
        ("a.jsonl", '{"words": "a cat"}\n', "line 1 has no column prompt"),
        ("a.jsonl", "[" * 100_000, "is not JSON|recursion"),
        ("a.txt", "", "holds no prompts"),
        ("a.json", "[]", "is not read: give prompts as text"),
        ("a.parquet", "", "is not read"),
    ],
)
def test_a_file_that_is_not_understood_is_refused_in_one_line(
    tmp_path: Path, name: str, content: str, message: str | None
) -> None:
    file = write(tmp_path / name, content)
    if message is None:  # a csv reader takes it
        assert len(captioned(tmp_path, file)) == 1
        return
    with pytest.raises(UsageError, match=message) as raised:
        captioned(tmp_path, file)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "workspace").exists()


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (["none.txt"], "none.txt does not exist"),
        (["a b=own.txt"], "--prompts a b=own.txt: 'a b' cannot name"),
        (["own.txt", "own=other/own.txt"], "--prompts own is duplicated"),
        (["."], "--prompts .: give it a name"),
        (["x=own.txt", "y=set.csv"], "--source x is duplicated"),
    ],
)
def test_names_that_cannot_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompts: list[str], message: str
) -> None:
    for name in ("own.txt", "other/own.txt"):
        write(tmp_path / name, "a cat\n")
    write(tmp_path / "set.csv", "prompt,source\na cat,x\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        captioned(tmp_path, *prompts)


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "own.csv", "prompt,seed,wieght\na cat,7,2\n")
    assert read_prompt_file(file).remarks == ["own.csv has columns that are not read: 'seed', 'wieght'"]
    caption(Workspace(tmp_path / "workspace"), options=CaptionOptions(prompts=(str(file),)))
    (log,) = (tmp_path / "workspace/logs").glob("caption-*.jsonl")
    assert "'wieght'" in log.read_text()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([".txt", ".csv", ".tsv", ".jsonl"]), st.binary(max_size=300) | st.text(max_size=200))
def test_whatever_a_file_holds_each_line_is_a_prompt_or_the_file_is_refused(
    tmp_path: Path, suffix: str, content: bytes | str
) -> None:
    file = write(
        tmp_path / f"own{suffix}", content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    )
    try:
        found = read_prompt_file(file)
    except UsageError:
        return
    assert [prompt.number for prompt in found.prompts] == list(range(len(found.prompts)))


def test_generators_draw_own_prompts_as_they_draw_captions(tmp_path: Path) -> None:
    write(tmp_path / "own.csv", "prompt,weight\na cat,\na dog,\na bird,\n")
    pool = PromptPool(captioned(tmp_path, tmp_path / "own.csv"))
    drawn = [prompt.prompt for prompt in islice(pool.draw("org/name"), 6)]
    assert sorted(drawn[:3]) == sorted(drawn[3:]) == ["a bird", "a cat", "a dog"]
