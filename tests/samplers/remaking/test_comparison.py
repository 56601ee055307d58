from dataclasses import asdict, replace
from typing import Any

import pytest

from samplers.remaking.comparison import compare
from samplers.sample import ImageFile, Sample

MADE = Sample(
    model_name="org/name",
    revision="a" * 40,
    index=3,
    round=1,
    status="ok",
    image=ImageFile(),
    seed=1,
    batch_size=4,
    call_size=4,
    device="cpu",
    dtype="float32",
    scheduler="",
    libraries="torch=2.13.0",
    cpu_threads=1,
    sha256="ab" * 32,
)
REJECTED = replace(MADE, status="nsfw", sha256=None)
ROW = asdict(MADE)


@pytest.mark.parametrize(
    ("expected", "made", "result", "detail"),
    [
        (ROW, MADE, "equal", None),
        ({"sha256": "ab" * 32}, MADE, "equal", None),
        ({"status": "ok"}, MADE, "not-compared", "neither the workspace nor a table has its sha256"),
        ({}, REJECTED, "not-compared", "neither the workspace nor a table has its sha256"),
        ({"status": "nsfw", "sha256": None}, REJECTED, "equal", "rejected again: nsfw"),
        ({"status": "nan", "sha256": None}, REJECTED, "differs", None),
        (ROW, REJECTED, "differs", None),
        (
            {"status": "nsfw"},
            MADE,
            "differs",
            "it was flagged, and is not any more: the image is not written",
        ),
    ],
)
def test_equal_is_the_same_bytes_or_the_same_rejection(
    expected: dict[str, Any], made: Sample, result: str, detail: str | None
) -> None:
    found = compare(expected, made)
    assert found.result == result
    if detail is not None or result == "equal":
        assert found.detail == detail
    if result == "equal":
        assert found.differences == ()


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"device": "NVIDIA H200"}, ("device was NVIDIA H200, now cpu",)),
        ({"libraries": "torch=1.0"}, ("libraries was torch=1.0, now torch=2.13.0",)),
        ({"cpu_threads": 8}, ("cpu_threads was 8, now 1",)),
        ({"memory": "slicing"}, ("memory was slicing, now none",)),
        ({"prompt": "x" * 100}, (f"prompt was {'x' * 80}..., now none",)),
        # Null is not recorded, an empty text is none, and other columns are not compared.
        ({"call_size": None, "scheduler": None, "negative_prompt": "", "scheduler_config": None}, ()),
        ({"file_size": 5, "nsfw_score": 0.5, "prompt_id": "x"}, ()),
    ],
)
def test_each_column_that_explains_other_pixels_is_named(changes: dict[str, Any], differences: tuple[str, ...]) -> None:
    assert compare(ROW | changes, MADE).differences == differences


def test_other_bytes_without_a_reason_in_the_row_say_what_may_be_the_reason() -> None:
    other = ROW | {"sha256": "0" * 64}
    assert "another model of processor" in str(compare(other, MADE).detail)
    assert compare(other | {"device": "NVIDIA H200"}, MADE).detail is None
    assert "the table names another one" in str(compare(other, MADE, stored_sha256=MADE.sha256).detail)
