from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.catalog import CatalogEntry
from crawler.lineage import bases_in_tags, with_lineage
from tests.records import catalog_entry


def entry(name: str, base: str | None = None, tags: tuple[str, ...] = ()) -> CatalogEntry:
    return catalog_entry(name, base_model=base, tags=tags)


def lineages(*entries: CatalogEntry) -> dict[str, tuple[str, ...]]:
    return {found.model_name: found.lineage for found in with_lineage(entries)}


def test_ancestors_are_found_in_the_catalogue_nearest_first() -> None:
    found = lineages(entry("a/lora", "a/tune"), entry("a/tune", "a/base"), entry("a/base", "a/elsewhere"))
    assert found["a/lora"] == ("a/tune", "a/base", "a/elsewhere")
    assert found["a/base"] == ("a/elsewhere",)


def test_a_merge_has_all_its_bases() -> None:
    tags = ("base_model:a/one", "base_model:merge:a/one", "base_model:merge:a/two")
    assert bases_in_tags(tags) == ("a/one", "a/two")
    found = lineages(entry("a/merge", "a/one", tags), entry("a/two", "a/root"))
    assert found["a/merge"] == ("a/one", "a/two", "a/root")


def test_a_cycle_ends() -> None:
    found = lineages(entry("a/x", "a/y"), entry("a/y", "a/x"), entry("a/self", "a/self"))
    assert found == {"a/x": ("a/y",), "a/y": ("a/x",), "a/self": ()}


names = st.sampled_from([f"a/{letter}" for letter in "abcdefg"])


@settings(deadline=None)
@given(st.dictionaries(names, names | st.none()))
def test_lineage_is_finite_without_duplicates_and_idempotent(bases: dict[str, str | None]) -> None:
    entries = [entry(name, base) for name, base in bases.items()]
    once = with_lineage(entries)
    assert with_lineage(once) == once
    for found in once:
        assert len(set(found.lineage)) == len(found.lineage)
        assert found.model_name not in found.lineage
        assert replace(found, lineage=()) in entries
