"""manifests/report/thumbnails.py: pictures are linked to their files, where these are on this machine."""

from pathlib import Path

from tests.manifests.making import Builder, png
from tests.manifests.report.pages import generated, image_of, real_image, written
from workspace.roots import record_roots


def test_a_real_image_below_a_root_is_linked_where_it_is(builder: Builder, tmp_path: Path) -> None:
    photos = tmp_path / "the photos"
    photos.mkdir()
    (photos / "1.png").write_bytes(png(1))
    record_roots(builder.workspace, {"coco": photos})
    generator = generated(0)
    rows = [image_of(generator), real_image(1, path="root://coco/1.png"), real_image(2, path="root://unknown/2.png")]
    page = written(builder.workspace, [generator], rows).read_text()
    assert (photos / "1.png").as_uri() in page
    assert "a photograph of thing 1" in page
    assert "a photograph of thing 2" not in page
