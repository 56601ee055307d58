from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from crawler.catalog import CatalogEntry
from crawler.hub.listing import ListedModel
from crawler.lineage import bases_in_tags, bases_of_adapter, with_lineage
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


@given(st.dictionaries(names, names | st.none()))
def test_lineage_is_finite_without_duplicates_and_idempotent(bases: dict[str, str | None]) -> None:
    entries = [entry(name, base) for name, base in bases.items()]
    once = with_lineage(entries)
    assert with_lineage(once) == once
    for found in once:
        assert len(set(found.lineage)) == len(found.lineage)
        assert found.model_name not in found.lineage
        assert replace(found, lineage=()) in entries


def test_every_relation_of_a_base_model_tag_is_read() -> None:
    relations = ("finetune", "adapter", "merge", "quantized")
    assert bases_in_tags(f"base_model:{relation}:a/{relation}" for relation in relations) == tuple(
        f"a/{relation}" for relation in relations
    )
    assert bases_in_tags(["lora", "license:mit", "base_model:a/b", "base_model:finetune:a/b"]) == ("a/b",)


def listed(*tags: str) -> ListedModel:
    model = ListedModel.parse({"id": "a/model", "sha": "0" * 40, "tags": list(tags)})
    assert model is not None
    return model


def test_only_adapters_have_the_base_that_they_are_sampled_with() -> None:
    assert bases_of_adapter(listed("lora", "base_model:a/base")) == ("a/base",)
    # An adapter can be known by the relation to its base alone.
    assert bases_of_adapter(listed("base_model:adapter:a/base")) == ("a/base",)
    assert bases_of_adapter(listed("base_model:finetune:a/base")) == ()
