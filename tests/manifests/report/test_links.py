"""Pictures are linked to their files, where these are on this machine, and generators to their pages."""

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


def test_a_local_generator_is_linked_to_the_page_that_its_user_names_or_to_none(builder: Builder) -> None:
    hub = generated(0)
    named = generated(1, revision="a" * 64, link="https://example.org/mix?x=1")
    unnamed = generated(2, revision="b" * 64)
    page = written(
        builder.workspace, [hub, named, unnamed], [image_of(one) for one in (hub, named, unnamed)]
    ).read_text()
    assert f'<a href="https://huggingface.co/{hub.model_name}"' in page
    assert f'<a href="https://example.org/mix?x=1" rel="noreferrer">{named.model_name}</a>' in page
    assert f'class="name">{unnamed.model_name}</td>' in page
    assert not any(f"https://huggingface.co/{one.model_name}" in page for one in (named, unnamed))
