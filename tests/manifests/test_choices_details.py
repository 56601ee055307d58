"""The choices travel in the manifest's own file, and decide which generators it has."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.choices import Choices, read_choices
from manifests.editions import parse_licenses
from tests.manifests.making import entry

MIT = entry("org/mit", 1, license="mit", license_family="open", base_model=None, lineage=())
OWN = entry("org/own", 2, license="own", license_family="unknown", base_model=None, lineage=())
TUNE = entry("org/tune", 3, license="mit", license_family="open", base_model="org/mit", lineage=("org/mit",))
NC = entry("org/nc", 4, license="cc-by-nc-4.0", license_family="non-commercial", base_model=None, lineage=())
CATALOG = [MIT, OWN, TUNE, NC]


def manifest(path: Path, metadata: dict[bytes, bytes] | None) -> Path:
    pq.write_table(pa.schema([("row", pa.int64())], metadata=metadata).empty_table(), path)
    return path


@pytest.mark.parametrize(
    "choices",
    [
        Choices("full", (), ()),
        Choices("full", (), ("name=org/mit", "after=2026-01-31")),
        Choices("public", ("family=open", "own"), ("architecture=PixDiff",)),
    ],
)
def test_choices_are_read_from_the_file_they_were_written_to(tmp_path: Path, choices: Choices) -> None:
    assert read_choices(manifest(tmp_path / "manifest.parquet", choices.metadata())) == choices


def test_choices_are_one_json_text_under_the_projects_name() -> None:
    text = (
        '{"edition": "public", "holdout": ["name=org/mit"], "kin": "separate", "license_allow": ["own"], '
        '"public_evaluation": false, "real_per_generated": 1.0, "rounds": 1, "validation": []}'
    )
    assert Choices("public", ("own",), ("name=org/mit",)).metadata() == {b"community_forensics": text.encode()}
    assert list(json.loads(text)) == sorted(Choices.__dataclass_fields__)


@pytest.mark.parametrize("metadata", [None, {b"another": b"key"}])
def test_a_file_that_says_nothing_has_every_generator(tmp_path: Path, metadata: dict[bytes, bytes] | None) -> None:
    assert read_choices(manifest(tmp_path / "manifest.parquet", metadata)) == Choices("full", (), ())


def test_the_full_edition_withholds_no_generator() -> None:
    assert Choices("full", (), ()).withheld(CATALOG) == frozenset()


@pytest.mark.parametrize(
    ("licenses", "withheld"),
    [
        ((), {"org/own", "org/nc"}),
        (("own",), {"org/mit", "org/tune", "org/nc"}),
        (("family=open", "family=non-commercial"), {"org/own"}),
    ],
)
def test_the_public_edition_withholds_other_licences(licenses: tuple[str, ...], withheld: set[str]) -> None:
    assert Choices("public", licenses, ()).withheld(CATALOG) == withheld


def test_a_withheld_generator_is_in_no_split_and_takes_no_other_out_of_one() -> None:
    names = [each.model_name for each in CATALOG]
    division = Choices("full", (), ("name=org/nc",)).assign(CATALOG, names, ())
    assert division.withheld == frozenset()
    assert division.splits == {"org/mit": "train", "org/own": "train", "org/tune": "train", "org/nc": "test"}
    # The holdout is not allowed in the public edition: it is withheld, and nothing is left to test with.
    division = Choices("public", (), ("name=org/nc",)).assign(CATALOG, names, ())
    assert division.withheld == {"org/own", "org/nc"}
    assert division.splits == {"org/mit": "train", "org/tune": "train"}


def test_generators_that_made_one_image_are_divided_as_one() -> None:
    names = [each.model_name for each in CATALOG]
    twins = [("org/own", "org/nc")]
    division = Choices("full", (), ("name=org/nc",)).assign(CATALOG, names, twins)
    assert division.splits == {"org/mit": "train", "org/own": None, "org/tune": "train", "org/nc": "test"}


def test_only_sampled_generators_have_a_split() -> None:
    division = Choices("full", (), ()).assign(CATALOG, ["org/mit"], ())
    assert division.splits == {"org/mit": "train"}


def test_licences_are_listed_in_one_order() -> None:
    names = [f"licence-{number}" for number in range(30)]
    assert parse_licenses([" MIT,own", *reversed(names)]).texts == tuple(sorted(["mit", "own", *names]))
