"""Equal files of several sources: one image, one row, the strictest terms."""

from dataclasses import replace

from captioning.prompt import Prompt
from manifests.building import Built, build
from manifests.manifest import REAL, ManifestRow
from manifests.options import BuildOptions
from manifests.tables.withheld import WithheldRow, withheld_path
from tests.manifests.making import Builder, rows_of
from workspace import records

TERMS = {
    "may be": {"redistributable": True, "license": "CC0-1.0", "license_link": "https://example.org/may"},
    "with credit": {"redistributable": True, "license": "CC-BY-NC-4.0", "license_link": "https://example.org/nc"},
    "unknown": {"redistributable": None, "license": None, "license_link": "https://example.org/unknown"},
    "forbidden": {"redistributable": False, "license": "CC-BY-4.0", "license_link": "https://example.org/forbidden"},
    "may not": {"redistributable": False, "license": None, "license_link": "https://example.org/not"},
}


def copy_of(builder: Builder, prompt: Prompt, source: str, **changes: object) -> Prompt:
    """The same file in another source."""
    real_id = f"elsewhere/{prompt.real_id}"
    named = {
        "real_source": source,
        "real_title": source.upper(),
        "real_id": real_id,
        "prompt_id": f"{source}/{real_id}",
    }
    again = replace(prompt, **named | changes)  # type: ignore[arg-type]
    builder.prompts.setdefault(source, []).append(again)
    return again


def built(builder: Builder, *prompts: Prompt, edition: str = "full") -> tuple[Built, list[ManifestRow]]:
    """Build with one image of each prompt; the real rows."""
    painter = builder.generator("org/painter", license="mit", license_family="open")
    for prompt in prompts:
        builder.sample(painter, prompt)
    made = build(builder.write(), BuildOptions(edition=edition))  # type: ignore[arg-type]
    return made, [row for row in rows_of(builder.workspace) if row.label == REAL]


def test_equal_files_of_three_sources_are_one_row_that_names_the_others_and_are_counted(builder: Builder) -> None:
    photo, other = builder.real("photos", 1), builder.real("photos", 2)
    copies = [copy_of(builder, photo, source) for source in ("zoo", "art")]
    made, real = built(builder, photo, copies[0], other)
    assert [(row.real_source, row.real_id, row.also_in) for row in real] == [
        ("photos", photo.real_id, (f"art/{copies[1].real_id}", f"zoo/{copies[0].real_id}")),
        ("photos", other.real_id, None),
    ]
    assert made.real_images.equal == 1
    assert "1 real image has equal files in prompts/, and one row each: also_in names the others" in list(made.lines())
    assert '"equal": 1' in (builder.workspace.logs / "manifest.jsonl").read_text()


def test_equal_files_of_one_source_are_one_row_too(builder: Builder) -> None:
    photo = builder.real("photos", 1)
    again = builder.real("photos", 2, real_sha256=photo.real_sha256, real_path=photo.real_path)
    _, real = built(builder, photo, again)
    assert [(row.real_id, row.also_in) for row in real] == [(photo.real_id, (f"photos/{again.real_id}",))]


def test_a_file_that_is_prompted_in_one_source_is_no_further_image_of_another(builder: Builder) -> None:
    photo, other = builder.real("photos", 1), builder.real("art", 2)
    copy_of(builder, photo, "art")
    _, real = built(builder, photo, photo, photo, other)
    assert [(row.real_source, row.prompted) for row in real] == [("art", True), ("photos", True)]


#: The terms of two equal files, and those that count.
PAIRS = [
    ("may be", "unknown", "unknown"),
    ("may be", "may not", "may not"),
    ("unknown", "may not", "may not"),
    ("with credit", "may be", "with credit"),
    ("forbidden", "with credit", "forbidden"),  # whatever the family of its licence
]


def test_the_stricter_terms_of_equal_files_count(builder: Builder) -> None:
    photos = [builder.real("photos", number) for number in range(len(PAIRS))]
    builder.prompts["photos"] = [
        replace(photo, **TERMS[first])  # type: ignore[arg-type]
        for photo, (first, _, _) in zip(photos, PAIRS, strict=True)
    ]
    for photo, (_, second, _) in zip(photos, PAIRS, strict=True):
        copy_of(builder, photo, "art", **TERMS[second])
    made, real = built(builder, *photos, edition="public")
    listed = {row.real_id: row for row in records.read(withheld_path(builder.workspace), WithheldRow)}
    found = {row.real_id: row for row in real}
    for photo, (_, _, counts) in zip(photos, PAIRS, strict=True):
        may_be = TERMS[counts]["redistributable"] is True
        assert (photo.real_id in found, photo.real_id in listed) == (may_be, not may_be), counts
        row = found[photo.real_id] if may_be else listed[photo.real_id]
        assert (row.license, row.redistributable) == (TERMS[counts]["license"], TERMS[counts]["redistributable"])
        assert row.also_in == (f"art/elsewhere/{photo.real_id}",)
        if not may_be:
            assert listed[photo.real_id].license_link == TERMS[counts]["license_link"]
    assert (len(real), made.withheld) == (1, 4)
