from importlib.metadata import version

import pytest

from captioning.skipped import Skipped, skipped_name
from manifests.audit.record import ALL_FACTS, Audit, Findings, MatchedFindings, write_audit
from manifests.audit.scores import Score
from manifests.building import build
from manifests.choices import read_choices
from manifests.manifest import manifest_path
from manifests.options import BuildOptions
from manifests.report import write_report
from manifests.report.skipped import skipped_images
from tests.manifests.making import Builder
from tests.manifests.report.pages import generated, image_of, real_image, written
from workspace import recipe, records
from workspace.errors import UsageError
from workspace.identity import sha256_of_file


def words(page: str) -> str:
    """The text of a page on one line."""
    return " ".join(page.split())


#: What the user set for some generators.
SETTINGS = {"org/*": {"steps": 20, "scheduler": "DDIMScheduler"}}


def test_the_page_says_which_edition_holdout_recipe_and_version_it_shows(filled: Builder) -> None:
    workspace = filled.write()
    recipe.pin(workspace, "sample", {"images": 16, "source_weight": {"photos": 2.0}, "settings": SETTINGS})
    build(workspace, BuildOptions(edition="public", license_allow=("mit", "openrail++", "family=openrail", "none"),
                                  holdout=("name=org/painter",)))  # fmt: skip
    page = words(write_report(workspace).read_text())
    for name, value in {
        "edition": "public",
        "licences allowed": ", ".join(read_choices(manifest_path(workspace)).license_allow),
        "holdout": "name=org/painter",
        "built by": f"community-forensics {version('community-forensics')}",
        "sha256 of manifest.parquet": sha256_of_file(manifest_path(workspace)),
    }.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert '<tr><td>sample</td><td>images</td><td class="wide">16</td></tr>' in page
    assert (
        '<tr><td>sample</td><td>settings: org/*</td><td class="wide">steps 20, scheduler DDIMScheduler</td></tr>'
        in page
    )
    assert '<tr><td>sample</td><td>source_weight: photos</td><td class="wide">2.0</td></tr>' in page


def skip(builder: Builder, source: str, number: int, **reasons: int) -> None:
    rows = [
        Skipped(real_source=source, real_id=f"{reason}-{n}.jpg", reason=reason, detail=f"why {reason}")  # type: ignore[arg-type]
        for reason, count in reasons.items()
        for n in range(count)
    ]
    records.write(builder.workspace.prompts_of(source) / skipped_name(number), Skipped, rows)


def test_all_real_images_that_were_skipped_are_counted_by_reason_and_source(builder: Builder) -> None:
    skip(builder, "coco", 0, broken=3, empty=1)
    skip(builder, "coco", 1, broken=2)
    skip(builder, "mine", 0, broken=4, metadata=1)
    page = words(written(builder.workspace, [], [real_image(1)]).read_text())
    assert "11 real images that captioning skipped" in page
    assert "Skipped real images by reason" in page
    assert (
        '<td><code>broken</code></td><td>coco</td><td class="number">5</td>'
        '<td class="wide soft">broken-0.jpg: why broken</td>' in page
    )
    assert '<td><code>metadata</code></td><td>mine</td><td class="number">1</td>' in page


def test_a_long_list_of_skipped_images_ends_with_the_sum_of_the_others(builder: Builder) -> None:
    for number in range(50):
        skip(builder, f"source-{number:02d}", 0, broken=50 - number)
    skipped = skipped_images(builder.workspace)
    assert skipped is not None
    assert skipped.images == sum(range(1, 51))
    assert 0 < skipped.others < len(skipped.rows) * 10


def test_a_damaged_list_of_skipped_images_is_one_clear_line(builder: Builder) -> None:
    skip(builder, "coco", 0, broken=1)
    (builder.workspace.prompts_of("coco") / skipped_name(0)).write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="skipped-00000"):
        skipped_images(builder.workspace)


def test_licences_named_other_have_the_authors_name(builder: Builder) -> None:
    generator = generated(0, license="other", license_name="flux-9-non-commercial", license_link="https://a.example")
    page = written(builder.workspace, [generator], [image_of(generator)]).read_text()
    # In the chart and the table below it, on the contact sheet, and in the rows of the table of generators.
    assert page.count("other: flux-9-non-commercial") >= 4


def test_steps_sizes_whose_words_and_duplicates_are_shown(builder: Builder) -> None:
    generator = generated(0, kept=3)
    captions = {"caption_origin": "generated", "captioner": "org/blip@1"}
    rows = [
        image_of(generator, 0, num_inference_steps=30, **captions),
        image_of(generator, 1, num_inference_steps=30, width=640, also_by=("org/other",)),
        image_of(generator, 2, num_inference_steps=9, caption_origin="user"),
        real_image(1, also_in=("web/1.jpg",)),
        real_image(2),
    ]
    page = words(written(builder.workspace, [generator], rows).read_text())
    assert '30,"512 × 512, 640 × 512"' in page
    for said in ("generated by org/blip@1", "the user&#39;s own prompt", "512 × 512, 640 × 512"):
        assert said in page
    assert "<dt>made by several generators</dt><dd>1</dd>" in page
    assert "<dt>duplicate real images</dt><dd>1</dd>" in page


def test_the_audit_is_shown_with_its_warnings_and_one_of_another_manifest_is_not(builder: Builder) -> None:
    workspace, generator = builder.workspace, generated(0)
    rows = [image_of(generator), real_image(1), real_image(2)]
    page = written(workspace, [generator], rows).read_text()
    assert "No shortcut audit was made" in page
    scores = [
        Score(name, auroc, auroc - 0.05, auroc + 0.04, accuracy, accuracy, accuracy)
        for name, auroc, accuracy in ((ALL_FACTS, 0.97, 0.9), ("file size", 0.93, 0.88), ("format", 0.6, 0.55))
    ]
    found = Findings(1, 2, 1, tuple(scores), (scores[2],), (1, 1), 1)
    matched = MatchedFindings(0, (("format", 7), ("file size", 0)), Findings(0, 0, 0))
    audit = Audit(sha256_of_file(manifest_path(workspace)), 3, found, {"ICC profile": "unknown for 9%"}, matched)
    write_audit(workspace, audit)
    page = words(write_report(workspace).read_text())
    assert "with an AUROC above 0.60: file size. A detector" in page
    row = '<tr class="warned"><th scope="row">file size</th><td class="number">0.93 <span class="soft">0.88–0.97</span>'
    assert f'{row}</td><td class="number">0.88</td><td class="number">–</td></tr>' in page
    assert '<tr><th scope="row">format</th>' in page
    assert "has 0 pairs of a generated and a real image" in page
    assert "format 7, file size 0." in page
    assert "unknown for 9%" in page
    assert "1 could not be read" in page
    assert "No shortcut audit was made" in written(workspace, [generator], rows[:-1]).read_text()
