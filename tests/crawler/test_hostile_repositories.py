"""Repositories whose files were made to end a crawl: each gets a row that can be written, whatever they say."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.base_models import BaseModels
from crawler.catalog import CatalogEntry, ModelFile
from crawler.hub.client import Hub
from crawler.hub.listing import ListedModel
from crawler.hub.repository import (
    MAX_CONFIG,
    MAX_FILE_SIZE,
    MAX_FILES,
    Description,
    Repository,
    RepositoryReader,
    parse_files,
)
from crawler.options import KINDS
from crawler.reasons import Incompatible
from crawler.row_builder import RowBuilder
from tests.bounds import within
from tests.crawler.repositories import SD_INDEX, as_json, stable_diffusion
from tests.fuzzing import fuzzed
from workspace import records
from workspace.hub_access import HubAccess
from workspace.printable import REPLACEMENT, printable

SECONDS, MEGABYTES = 5.0, 200
#: What a terminal, JSON, UTF-8 or a path does not take.
BAD_TEXTS = ["\ud800", "\x1b]0;a\x07", "\x00", "\u202e", "../../x", "a" * 300, "=1+1", "[/b]", "%s{}", "\r\n"]


class Files(RepositoryReader):
    """Reads one repository from memory, as it would be read from a Hub."""

    def __init__(self, files: Mapping[str, bytes], tags: tuple[str, ...] = ()) -> None:
        super().__init__(Hub(HubAccess(endpoint="http://127.0.0.1:9", token="")))
        self._files = files
        listed = {path: ModelFile(path=path, size=len(content)) for path, content in files.items()}
        self._description = Description(listed, tags)

    def open(self, model_name: str, revision: str | None) -> Repository:
        return Repository(model_name, revision or "0" * 40, self._description, self)

    def _download(self, _repository: Repository, file: ModelFile, _max_bytes: int) -> bytes:
        return self._files[file.path]


def row_of(files: Mapping[str, bytes], tags: tuple[str, ...] = ()) -> CatalogEntry:
    """The row of a repository with these files, after it was written and read back."""
    reader = Files(files, tags)
    builder = RowBuilder(reader, BaseModels(reader, {}), KINDS, "http://hub", True, lambda: "2026-01-01T00:00:00+00:00")
    row = {"id": "acme/model", "sha": "0" * 40, "downloads": 1, "tags": list(tags)}
    listed = ListedModel.parse(row)
    assert listed is not None
    table = records.to_table(CatalogEntry, [builder.build(listed, 1)])
    with pa.BufferOutputStream() as sink:
        pa.parquet.write_table(table, sink)
        (entry,) = records.from_table(CatalogEntry, pa.parquet.read_table(pa.BufferReader(sink.getvalue())))
    check_printable(asdict(entry))
    for text in (entry.hyperparameters.extra, entry.hyperparameters.scheduler_config):
        check_printable(json.loads(text) if text is not None else None)
    return entry


def check_printable(value: Any) -> None:
    """No text of a row, however deep, has a character that cannot be stored or shown."""
    if isinstance(value, str):
        assert printable(value) == value
    elif isinstance(value, dict):
        for name, item in value.items():
            check_printable(name)
            check_printable(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_printable(item)


@pytest.mark.attack
def test_more_files_than_are_read_are_said_and_none_of_them_is_guessed() -> None:
    names = [{"rfilename": f"{number}.txt", "size": 1} for number in range(MAX_FILES + 5)]
    description = Description.parse({"siblings": names})
    assert len(description.files) == MAX_FILES
    reader = RepositoryReader(
        Hub(HubAccess(endpoint="http://127.0.0.1:9", token="")), known={("a/b", "0"): description}
    )
    with pytest.raises(Incompatible, match="malformed: it has 200,005 files, more than the 200,000 that are read"):
        reader.open("a/b", "0")


@pytest.mark.attack
def test_numbers_that_no_column_holds_are_no_counts_and_no_sizes() -> None:
    listed = ListedModel.parse(
        {"id": "a/b", "sha": "0", "downloads": 10**30, "likes": 2**63, "downloadsAllTime": 2**60}
    )
    assert listed is not None
    assert (listed.downloads, listed.likes, listed.downloads_all_time) == (0, 0, None)
    sizes = [{"rfilename": f"{number}.bin", "size": size} for number, size in enumerate((2**62, 2**45, 2**45 - 1))]
    assert [file.size for file in parse_files({"siblings": sizes}).values()] == [0, 0, 2**45 - 1]
    assert MAX_FILES * MAX_FILE_SIZE < 2**63


@pytest.mark.attack
@pytest.mark.parametrize("text", BAD_TEXTS)
@pytest.mark.parametrize("place", ["_class_name", "unet", "library", "class", "scheduler"])
def test_any_name_in_the_index_gives_a_row(place: str, text: str) -> None:
    index: dict[str, Any] = dict(SD_INDEX)
    if place == "library":
        index["unet"] = [text, "UNet2DConditionModel"]
    elif place == "class":
        index["unet"] = ["diffusers", text]
    elif place == "scheduler":
        index["scheduler"] = ["diffusers", f"{text}Scheduler"]
    else:
        index[place] = text
    row_of({**stable_diffusion(), "model_index.json": as_json(index)})


@pytest.mark.attack
@pytest.mark.parametrize("text", BAD_TEXTS)
def test_any_text_of_a_card_gives_a_row(text: str) -> None:
    escaped = json.dumps(text)
    front_matter = f"license: other\nlicense_name: {escaped}\ninstance_prompt: {escaped}\nbase_model: {escaped}\n"
    code = f"pipe.scheduler = DDIMScheduler(a={text!r})\npipe('x', negative_prompt={text!r}, clip_skip={text!r})"
    card = f"---\n{front_matter}---\n# {text}\n\nSampler: {text}\n\n```python\n{code}\n```\n"
    row = row_of({**stable_diffusion(), "README.md": card.encode("utf-8", "replace")})
    assert (row.license_name is not None) == bool(text.strip())


@pytest.mark.attack
def test_control_characters_in_the_text_of_a_card_reach_no_row() -> None:
    card = "You should use `a\x1b[2Jb` to trigger the image generation.\n"
    row = row_of({**stable_diffusion(), "README.md": card.encode()})
    assert row.hyperparameters.trigger_words == f"a{REPLACEMENT}[2Jb"


@pytest.mark.attack
@pytest.mark.parametrize(
    "content",
    [
        b"[" * MAX_CONFIG,
        b'{"a":' * (MAX_CONFIG // 5),
        b'{"sample_size": ' + b"9" * (MAX_CONFIG - 20) + b"}",
        b'{"sample_size": ' + b"9" * 4000 + b', "in_channels": 1e999, "out_channels": NaN}',
        b'{"sample_size": Infinity, "quantization_config": -Infinity}',
        b'{"a": "' + b"\\ud800" * (MAX_CONFIG // 7) + b'"}',
        b"\x00" * MAX_CONFIG,
        b'{"a": 1, ' * 3,
        b"{" + b'"a": {}, ' * (MAX_CONFIG // 10) + b'"b": 1}',
    ],
    ids=lambda content: repr(content[:20]),
)
def test_any_configuration_gives_a_row_in_seconds(content: bytes) -> None:
    with within(seconds=SECONDS, megabytes=MEGABYTES):
        row_of({**stable_diffusion(), "unet/config.json": content, "scheduler/scheduler_config.json": content})
        row_of({**stable_diffusion(), "model_index.json": content})


@pytest.mark.attack
def test_ten_megabytes_of_configuration_are_malformed() -> None:
    content = b'{"a": "' + b"x" * 10 * 2**20 + b'"}'
    row = row_of({**stable_diffusion(), "model_index.json": content})
    assert (row.reason, row.reason_detail) == ("malformed", "model_index.json has 10.5 MB, more than 1.0 MB")


@pytest.mark.attack
def test_many_components_take_seconds() -> None:
    index = {**SD_INDEX, **{f"part_{number}": ["diffusers", f"Model{number}"] for number in range(20_000)}}
    with within(seconds=SECONDS):
        assert row_of({**stable_diffusion(), "model_index.json": as_json(index)}).status == "compatible"
        row_of({**stable_diffusion(), "model_index.json": as_json({**index, "_class_name": "OfNobody"})})


texts = st.sampled_from(
    [*BAD_TEXTS, "diffusers", "UNet2DConditionModel", "DDIMScheduler", "flow_prediction", "x"]
) | st.text(max_size=5)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -1, 2**63, float("inf")])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    [
        *("_class_name", "unet", "vae", "scheduler", "sample_size", "in_channels", "out_channels"),
        *("block_out_channels", "quantization_config", "prediction_type"),
    ]
)
configs = st.dictionaries(names | texts, values, max_size=6)


@fuzzed(40)
@given(configs, configs, configs)
def test_no_configuration_raises_or_takes_long(
    index: dict[str, Any], unet: dict[str, Any], noise: dict[str, Any]
) -> None:
    files = {
        **stable_diffusion(),
        "model_index.json": json.dumps({**SD_INDEX, **index}).encode(),
        "unet/config.json": json.dumps(unet).encode(),
        "vae/config.json": json.dumps(unet).encode(),
        "scheduler/scheduler_config.json": json.dumps(noise).encode(),
    }
    with within(seconds=SECONDS):
        row_of(files)
