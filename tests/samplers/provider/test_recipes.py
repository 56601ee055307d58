"""Remote generators by their TOML files; those of the study's commercial generators are valid and complete."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from crawler.catalog import CatalogEntry
from samplers.provider.recipes import find_generators, remote_generator, shipped_recipes
from workspace import records
from workspace.errors import UsageError

WHOLE: dict[str, Any] = {
    "kind": "remote",
    "subset": "Commercial",
    "architecture": "Commercial",
    "task": "text-to-image",
    "license": "Acme TOS",
    "remote": {
        "provider": "openai",
        "model": "painter-1",
        "endpoint": "https://api.acme.example/v1",
        "key": "ACME_KEY",
        "price": 0.03,
        "per_minute": 30,
        "parameters": {"size": "512x512", "seedless": True},
    },
}
#: The eleven commercial generators of the study (section 3.2, figure 2c).
STUDY = {
    "DALL·E 2",
    "DALL·E 3",
    "Ideogram V1",
    "Ideogram V2",
    "Midjourney V5",
    "Midjourney V6",
    "Firefly Image 2",
    "Firefly Image 3",
    "FLUX.1-dev",
    "FLUX.1-schnell",
    "Imagen 3",
}
TERMS = {
    "DALL·E": "OpenAI Terms of Use",
    "Ideogram": "Ideogram TOS",
    "Midjourney": "Midjourney TOS",
    "Firefly": "Adobe GenAI TOS",
    "FLUX.1-dev": "FLUX.1 [dev] Non-Commercial License",
    "FLUX.1-schnell": "Apache-2.0",
    "Imagen": "Google TOS",
}


def _file(folder: Path, remote: dict[str, Any] | None = None, **table: Any) -> str:
    path = folder / "painter.toml"
    path.write_text(tomli_w.dumps({"acme/painter": WHOLE | table | {"remote": WHOLE["remote"] | (remote or {})}}))
    return str(path)


def test_the_row_of_a_remote_generator_says_who_is_asked_and_how(tmp_path: Path) -> None:
    (generator,) = find_generators([_file(tmp_path)])
    row = generator.entry
    assert (row.model_name, row.subset, row.architecture, row.license) == (
        "acme/painter",
        "Commercial",
        "Commercial",
        "Acme TOS",
    )
    assert row.provider is not None
    assert (row.provider.name, row.provider.model, row.provider.endpoint) == (
        "openai",
        "painter-1",
        "https://api.acme.example/v1",
    )
    assert row.provider.parameters == '{"seedless": true, "size": "512x512"}'
    assert (generator.key, generator.price, generator.per_minute) == ("ACME_KEY", 0.03, 30)
    records.write(tmp_path / "c.parquet", CatalogEntry, [row])
    assert records.read(tmp_path / "c.parquet", CatalogEntry) == [row]


def test_its_revision_is_what_is_asked_for_and_not_what_it_costs(tmp_path: Path) -> None:
    def revision(**remote: Any) -> str:
        return find_generators([_file(tmp_path, remote)])[0].entry.revision

    first = revision()
    assert revision(price=1, key="OTHER", per_minute=1) == first
    assert len({first, revision(model="painter-2"), revision(parameters={"size": "256x256"})}) == 3


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        ({"provder": "x"}, "there is no provder"),
        ({"model": ""}, "model must be a text"),
        ({"endpoint": "http://api.acme.example/v1"}, "endpoint must be https"),
        ({"endpoint": "https://u:p@api.acme.example/v1"}, "without name and password"),
        ({"endpoint": "https://api.acme.example:x/v1"}, "must be an address"),
        ({"endpoint": "api.acme.example"}, "must be an address"),
        ({"key": "sk-0123456789"}, "the name of a variable of the environment, not a key"),
        ({"price": -1}, "price must be a number of at least 0"),
        ({"price": True}, "price must be a number"),
        ({"price": float("inf")}, "price must be a number"),
        ({"per_minute": 0}, "per_minute must be a number"),
        ({"parameters": {"n": 4}}, "must not have n"),
        ({"parameters": {"prompt": "x"}}, "must not have prompt"),
        ({"parameters": 4}, "parameters must be a table"),
        ({"provider": "fal-ai"}, "endpoint is for provider openai"),
    ],
)
def test_what_is_wrong_is_said_with_its_table(tmp_path: Path, remote: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_generators([_file(tmp_path, remote)])
    assert words in str(raised.value)
    assert '["acme/painter".remote]' in str(raised.value)


def test_other_kinds_and_tasks_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="task must be text-to-image"):
        find_generators([_file(tmp_path, task="unconditional")])
    with pytest.raises(UsageError, match="import its images with `cf-import`"):
        find_generators(["commercial/midjourney-v6"])
    with pytest.raises(UsageError, match="named twice"):
        find_generators([_file(tmp_path), _file(tmp_path)])
    with pytest.raises(UsageError, match="name a TOML file, PROVIDER/MODEL, or one of commercial/dall-e-2"):
        find_generators(["painter"])


def test_a_model_without_a_file_is_named_by_provider_and_model() -> None:
    (one,) = find_generators(["fal-ai/black-forest-labs/FLUX.1-krea-dev"])
    assert (one.name, one.provider, one.model) == (
        "fal-ai/FLUX.1-krea-dev",
        "fal-ai",
        "black-forest-labs/FLUX.1-krea-dev",
    )
    assert (one.key, one.price, one.entry.license) == ("HF_TOKEN", None, None)
    (one,) = find_generators(["openai/gpt-image-1"])
    assert (one.key, one.endpoint) == ("OPENAI_API_KEY", "https://api.openai.com/v1")


def test_a_model_with_a_file_is_found_by_its_provider_or_its_name() -> None:
    (one,) = find_generators(["openai/dall-e-3"])
    assert [one.name] == [other.name for other in find_generators(["commercial/dall-e-3"])]
    assert one.price == 0.04


def test_each_commercial_generator_of_the_study_has_a_file_that_is_complete() -> None:
    recipes = shipped_recipes()
    assert {recipe.study for recipe in recipes} == STUDY
    assert len(recipes) == len(STUDY)
    for recipe in recipes:
        assert (recipe.subset, recipe.architecture, recipe.task) == ("Commercial", "Commercial", "text-to-image")
        assert recipe.license_link
        assert recipe.link
        if recipe.kind == "import":
            assert recipe.weights
            continue
        generator = remote_generator(recipe)
        assert generator.price
        assert generator.price_link
        assert generator.price_date
        assert generator.key != generator.name


def test_their_terms_of_service_are_their_licences_as_in_the_study() -> None:
    from crawler.recipe_files import row_of

    for recipe in shipped_recipes():
        row = row_of(recipe, revision="0" * 64)
        assert row.license == next(terms for name, terms in TERMS.items() if name in (recipe.study or ""))
        assert row.license_family != "unknown"
