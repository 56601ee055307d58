"""Images that others made, stored: bytes as they are, each row, resumed after any batch, mended where damaged."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from PIL import Image

from engines.claims import claims_of
from samplers.foreign.examiner import Examiner
from samplers.foreign.image import ForeignImage
from samplers.foreign.storing import Stored, store_foreign
from samplers.planning.recipe import Recipe
from samplers.planning.segments import Segment
from samplers.sample import Sample, read_samples
from samplers.storage.progress import progress_of
from tests.records import catalog_entry
from tests.samplers.foreign.making import WEB_UI, encoded, picture, png_with
from tests.samplers.inputs import files_of
from workspace.layout import Workspace

ENTRY = catalog_entry("others/images", revision="b" * 64, subset="Manual", status="incompatible", reason="imported")
RECIPE = Recipe(
    images=20, batch_size=3, max_tries=20, seed=0, steps=None, safety_checker="a@b", prompts=None, batches_a_part=2
)


class StoppedError(Exception):
    pass


def _images() -> list[ForeignImage]:
    """Two alike, two equal, one flagged, one broken, one refused, of several formats."""
    magenta = Image.new("RGB", (48, 48), (255, 0, 255))
    magenta.putpixel((0, 0), (0, 0, 0))
    contents = [
        ("a.png", encoded(picture(1))),
        ("b.jpg", encoded(picture(2), "JPEG", quality=90)),
        ("c.webp", encoded(picture(3), "WEBP")),
        ("d.jpg", encoded(picture(1), "JPEG", quality=60)),
        ("e.png", png_with(4, {"parameters": WEB_UI})),
        ("f.jpg", encoded(picture(2), "JPEG", quality=90)),
        ("g.png", encoded(magenta)),
        ("h.jpg", b"\xff\xd8\xff\xe0 cut"),
        *((f"{number}.png", encoded(picture(number))) for number in range(10, 20)),
    ]
    images = [
        ForeignImage(
            content=content, suffix=f".{name.rpartition('.')[2]}", original_name=f"set/{name}", real_source="coco"
        )
        for name, content in contents
    ]
    return [*images, ForeignImage(content=None, status="refused", detail="against the policy", original_name="x")]


IMAGES = _images()
SEGMENT = Segment(
    recipe=replace(RECIPE, images=len(IMAGES)), settings=ENTRY.hyperparameters, first=0, stop=len(IMAGES), images=99
)


def _store(
    workspace: Workspace, examiner: Examiner, images: Sequence[ForeignImage] = IMAGES, stop_after: int | None = None
) -> Stored:
    def source(first: int, stop: int) -> Iterable[ForeignImage]:
        for number, image in enumerate(images[first:stop]):
            if stop_after is not None and number == stop_after:
                raise StoppedError
            yield image

    with claims_of(workspace, "import") as claims, claims.claim(ENTRY.generator):
        return store_foreign(workspace, claims, ENTRY, [SEGMENT], source, examiner, origin="imported", similar=4)


@pytest.fixture(scope="module")
def stored(examiner: Examiner, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.open(tmp_path_factory.mktemp("stored"))
    found = _store(workspace, examiner)
    assert found.outcome is not None
    assert found.outcome.status == "done"
    assert found.new == len(IMAGES)
    return workspace


def _rows(workspace: Workspace) -> list[Sample]:
    return read_samples(workspace, ENTRY.generator)


def test_each_image_has_a_row_and_those_that_are_kept_have_their_bytes(stored: Workspace) -> None:
    rows = _rows(stored)
    assert [row.index for row in rows] == list(range(len(IMAGES)))
    assert Counter(row.status for row in rows) == {"ok": 15, "similar": 1, "nsfw": 1, "broken": 1, "refused": 1}
    for row, image in zip(rows, IMAGES, strict=True):
        assert (row.origin, row.original_name, row.real_source) == ("imported", image.original_name, image.real_source)
        assert (row.seed, row.device, row.libraries, row.batch_size) == (None, None, None, None)
        if row.status == "ok":
            assert (stored.root / str(row.image.path)).read_bytes() == image.content
        else:
            assert row.image.path is None
    assert [row.image_name for row in rows[:3]] == ["00000000.png", "00000001.jpg", "00000002.webp"]
    assert rows[3].similar_to == 0
    assert rows[5].sha256 == rows[1].sha256
    assert rows[-1].detail == "against the policy"
    assert len(list(stored.images_of(ENTRY.generator).iterdir())) == 15


def test_a_prompt_in_the_file_is_its_prompt_and_says_where_it_was_read(stored: Workspace) -> None:
    row = _rows(stored)[4]
    assert (row.prompt, row.prompt_source) == ("a red house, oil painting", "file:parameters")
    assert (row.negative_prompt, row.num_inference_steps, row.guidance_scale) == ("blurry", 20, 7.5)
    assert '"parameters"' in str(row.metadata)


@pytest.mark.parametrize("after", [0, 4, 7, 17])
def test_an_import_that_was_stopped_anywhere_ends_in_the_same_files(
    examiner: Examiner, stored: Workspace, workspace: Workspace, after: int
) -> None:
    with pytest.raises(StoppedError):
        _store(workspace, examiner, stop_after=after)
    _store(workspace, examiner)
    assert files_of(workspace) == files_of(stored)


def test_a_damaged_image_and_a_damaged_part_are_mended_from_the_same_source(
    examiner: Examiner, stored: Workspace, workspace: Workspace
) -> None:
    _store(workspace, examiner)
    workspace.outcome_of(ENTRY.generator).unlink()
    (workspace.images_of(ENTRY.generator) / "00000002.webp").write_bytes(b"changed")
    part = sorted(workspace.samples_of(ENTRY.generator).iterdir())[1]
    part.write_bytes(part.read_bytes()[:-100])
    found = _store(workspace, examiner)
    assert found.new == 6
    assert files_of(workspace) == files_of(stored)


def test_a_source_that_ends_early_leaves_the_rest_for_later(
    examiner: Examiner, stored: Workspace, workspace: Workspace
) -> None:
    assert _store(workspace, examiner, images=IMAGES[:8]).outcome is None
    assert progress_of(workspace, ENTRY.generator).tries == 8
    assert _store(workspace, examiner).outcome is not None
    assert files_of(workspace) == files_of(stored)
