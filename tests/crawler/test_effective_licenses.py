from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.card.licenses import FAMILIES, STRICTNESS, License, license_of
from crawler.catalog import CatalogEntry
from crawler.effective_licenses import effective_license, with_effective_licenses
from crawler.lineage import with_lineage
from tests.records import catalog_entry

FLUX = "flux-1-dev-non-commercial-license"


def stated(identifier: str | None, name: str | None = None) -> License:
    return license_of({} if identifier is None else {"license": identifier, "license_name": name}, ())


def entry(name: str, license_: License, base: str | None = None, **changes: Any) -> CatalogEntry:
    fields = ("license", "license_source", "license_family", "license_name", "license_link")
    values = {field: getattr(license_, field) for field in fields}
    own = effective_license([(name, license_)])
    return catalog_entry(name, base_model=base, **{**values, **own, **changes})


def effective(*entries: CatalogEntry) -> dict[str, CatalogEntry]:
    return {found.model_name: found for found in with_effective_licenses(with_lineage(entries))}


def test_every_ancestor_in_the_catalogue_counts() -> None:
    rows = effective(
        entry("a/lora", stated("mit"), "a/tune"),
        entry("a/tune", stated("apache-2.0"), "a/base"),
        entry("a/base", stated("other", FLUX)),
    )
    for name in ("a/lora", "a/tune", "a/base"):
        assert (rows[name].license_effective, rows[name].license_family_effective) == (FLUX, "non-commercial")
    assert rows["a/lora"].license_chain == ("a/lora: MIT", "a/tune: Apache-2.0", f"a/base: {FLUX}")
    assert rows["a/lora"].license_family == "open"


def test_a_base_that_nobody_has_read_is_named_in_the_chain() -> None:
    (row,) = effective(entry("a/tune", stated("mit"), "a/elsewhere")).values()
    assert row.license_chain == ("a/tune: MIT", "a/elsewhere: not in this catalogue")
    assert (row.license_effective, row.license_family_effective) == ("MIT", "open")


@pytest.mark.parametrize("identifier", [*FAMILIES, None])
def test_the_licence_of_a_base_without_a_row_is_that_which_was_read_with_the_adapter(identifier: str | None) -> None:
    base = stated(identifier)
    built = effective_license([("a/lora", stated("mit")), ("a/base", base)])
    (row,) = effective(entry("a/lora", stated("mit"), "a/base", **built)).values()
    assert row.license_family_effective == max("open", base.license_family, key=STRICTNESS.index)
    assert row.license_chain == built["license_chain"]


def test_a_base_that_states_no_licence_permits_nothing_for_certain() -> None:
    rows = effective(entry("a/lora", stated("mit"), "a/base"), entry("a/base", stated(None)))
    assert (rows["a/lora"].license_effective, rows["a/lora"].license_family_effective) == (None, "unknown")
    assert rows["a/lora"].license_chain == ("a/lora: MIT", "a/base: none given")


names = st.sampled_from([f"a/{letter}" for letter in "abcd"])


@given(st.dictionaries(names, st.tuples(names | st.none(), st.sampled_from([*FAMILIES, None]))))
def test_the_family_in_effect_is_never_less_strict_than_an_ancestors(
    models: dict[str, tuple[str | None, str | None]],
) -> None:
    rows = effective(*(entry(name, stated(license_), base) for name, (base, license_) in models.items()))
    for row in rows.values():
        known = [rows[name].license_family for name in (row.model_name, *row.lineage) if name in rows]
        assert row.license_family_effective == max(known, key=STRICTNESS.index)
    assert effective(*rows.values()) == rows
