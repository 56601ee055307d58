import pytest

from manifests.report.charts import ROWS
from manifests.report.comparison import compare
from manifests.report.rows import opened_rows
from tests.manifests.making import Builder
from tests.manifests.report.pages import generated, image_of, real_image, written


def test_properties_that_tell_real_from_generated_images_are_reported(builder: Builder) -> None:
    generator = generated(0)
    fakes = [image_of(generator, index) for index in range(100)]
    reals = [real_image(number, format="JPEG" if number < 94 else "PNG") for number in range(100)]
    page = (
        written(builder.workspace, [generator], fakes + reals).read_text().replace("\u00a0", " ").replace("&nbsp;", " ")
    )
    # Guessing by the format: all generated right, 94 of 100 real ones: 97 of 100.
    assert "All of the generated images and 6 % of the real ones are PNG; 94 % of the real ones are JPEG." in page
    assert "Guessing from the format alone is right in 97 % of cases" in page
    assert (
        "All of the generated images and none of the real ones are 512 × 512; all of the real ones are 640 × 480."
        in page
    )
    assert "Guessing from the size alone is right in 100 % of cases" in page
    assert "colour mode alone is right" not in page


def test_there_is_no_warning_where_real_and_generated_images_are_alike(builder: Builder) -> None:
    generator = generated(0)
    fakes = [image_of(generator, index) for index in range(10)]
    reals = [real_image(number, format="PNG", width=512, height=512) for number in range(2)]
    page = written(builder.workspace, [generator], fakes + reals).read_text()
    assert "similar formats, colour modes and sizes" in page
    assert "A detector could learn" not in page


def test_a_list_that_is_cut_ends_with_others_so_that_shares_are_of_all_images(builder: Builder) -> None:
    generator = generated(0)
    formats = [real_image(number, format=f"FORMAT-{number:02d}") for number in range(20)]
    written(builder.workspace, [generator], [image_of(generator), *formats])
    with opened_rows(builder.workspace) as rows:
        comparison = compare(rows)
    assert comparison is not None
    kinds = comparison.charts[1].rows
    assert (len(kinds), kinds[-1].name, kinds[-1].rest) == (ROWS, "10 others", True)
    for series in (0, 1):
        assert sum(row.values[series] for row in kinds) == pytest.approx(1)
