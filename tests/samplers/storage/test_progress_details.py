"""What the rows say of a generator: whether it is finished, and how memory limits the next call."""

from dataclasses import replace
from pathlib import Path

import pytest

from samplers.planning.recipe import Recipe
from samplers.planning.segments import Segment
from samplers.sample import ImageFile, Sample
from samplers.storage.missing_ranges import next_range
from samplers.storage.progress import progress_of
from samplers.storage.segment_progress import images_left, is_finished, progress_by_segment
from tests.samplers.storage.making import segments_for
from workspace import records
from workspace.layout import Workspace, part_name

NAME = "org/name"
SIZE = "call_size" if "call_size" in Sample.__dataclass_fields__ else "batch_size"


def write(root: Path, part: int, rows: list[dict[str, object]], first: int = 0) -> Workspace:
    workspace = Workspace.open(root)
    values: dict[str, object] = {
        "model_name": NAME,
        "revision": "a" * 40,
        "round": 1,
        "status": "ok",
        "image": ImageFile(),
        "seed": 0,
        "batch_size": 4,
        "device": "cpu",
        "dtype": "float32",
        "scheduler": "",
        "libraries": "",
    }
    values[SIZE] = 4
    samples = [Sample(**{**values, "index": first + number, **row}) for number, row in enumerate(rows)]  # type: ignore[arg-type]
    records.write(workspace.samples_of(NAME) / part_name(part), Sample, samples)
    return workspace


def segments(images: int, max_tries: int, batch_size: int = 4) -> tuple[Segment, ...]:
    return segments_for(
        Recipe(
            images=images,
            batch_size=batch_size,
            max_tries=max_tries,
            seed=0,
            steps=None,
            safety_checker="org/checker",
            prompts=None,
        )
    )


@pytest.mark.parametrize(
    ("images", "max_tries", "finished"),
    [(2, 9, True), (1, 9, True), (3, 9, False), (3, 3, True), (3, 4, False), (2, 3, True)],
)
def test_a_generator_is_finished_with_its_images_or_its_tries(
    tmp_path: Path, images: int, max_tries: int, finished: bool
) -> None:
    workspace = write(tmp_path, 0, [{"sha256": "one"}, {"sha256": "two"}, {"status": "nan"}])
    assert is_finished(progress_of(workspace, NAME), segments(images, max_tries)) is finished


def test_the_next_call_is_as_large_as_the_largest_of_the_last_batch(tmp_path: Path) -> None:
    workspace = write(tmp_path, 0, [{SIZE: size} for size in (4, 4, 2, 1)])
    progress = progress_of(workspace, NAME)
    ranges = [next_range(progress, frozenset(), segments(9, 9, batch_size)) for batch_size in (1, 2, 3, 4)]
    assert [missing.call_size for missing in ranges if missing is not None] == [1, 2, 4, 4]


def test_rows_without_an_image_keep_nothing(tmp_path: Path) -> None:
    workspace = write(tmp_path, 0, [{"status": "nan"}, {"status": "blank"}])
    progress = progress_of(workspace, NAME)
    assert (progress.revision, progress.kept) == ("a" * 40, frozenset())


def test_how_memory_is_saved_is_read_from_the_last_row(tmp_path: Path) -> None:
    write(tmp_path, 0, [{}, {}])
    workspace = write(tmp_path, 1, [{"memory": "slicing"}, {"memory": "offload"}], first=2)
    missing = next_range(progress_of(workspace, NAME), frozenset(), segments(9, 9))
    assert missing is not None
    assert missing.memory == "offload"


def test_rows_that_are_missing_are_made_before_what_follows(tmp_path: Path) -> None:
    write(tmp_path, 0, [{}, {}])
    workspace = write(tmp_path, 2, [{}, {}], first=4)
    missing = next_range(progress_of(workspace, NAME), frozenset(), segments(9, 9))
    assert missing is not None
    assert (missing.first, missing.stop, missing.images) == (2, 4, None)


def test_a_damaged_image_is_made_again_by_as_many_threads_as_its_row_names(tmp_path: Path) -> None:
    workspace = write(tmp_path, 0, [{"cpu_threads": threads} for threads in (3, 3, 3, 3, 5, 5)])
    progress = progress_of(workspace, NAME)
    again = [next_range(progress, frozenset({index}), segments(9, 9)) for index in (1, 4)]
    assert [missing.cpu_threads for missing in again if missing is not None] == [3, 5]
    onwards = next_range(progress, frozenset(), segments(9, 9))
    assert onwards is not None
    assert onwards.cpu_threads is None


def test_what_is_left_of_several_rounds_is_no_more_than_their_samples(tmp_path: Path) -> None:
    """The first round used its four samples and kept one image; the second one has two samples."""
    workspace = write(tmp_path, 0, [{"sha256": "one"}, *[{"status": "nan"}] * 3])
    (first,) = segments(3, 4)
    rounds = (first.recipe, replace(first.recipe, round=2, images=5, max_tries=6))
    states = progress_by_segment(progress_of(workspace, NAME), segments_for(*rounds))
    assert [(one.is_complete, one.missing) for one in states] == [(True, 2), (False, 4)]
    assert images_left(states) == [0, 2]
