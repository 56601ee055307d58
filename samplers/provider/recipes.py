"""Remote generators: what the TOML file of one says of its provider, and its row in the catalogue.

    ["openai/dall-e-3"]
    kind = "remote"
    ...

    ["openai/dall-e-3".remote]
    provider = "openai"                     # or an inference provider of Hugging Face, such as fal-ai
    model = "dall-e-3"
    endpoint = "https://api.openai.com/v1"  # of openai only: any that speaks OpenAI's images API
    key = "OPENAI_API_KEY"                  # the variable of the environment that has the key
    price = 0.04                            # US dollars for an image with these parameters
    price_link = "https://openai.com/api/pricing"
    price_date = "2024-10-01"
    per_minute = 5                          # requests at most

    ["openai/dall-e-3".remote.parameters]   # of each request, beside model and prompt
    size = "1024x1024"

The other keys are those of all such files (`crawler/recipe_files.py`).
"""

import hashlib
import ipaddress
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crawler.catalog import CatalogEntry, Provider
from crawler.recipe_files import GeneratorRecipe, read_recipes, row_of
from workspace.errors import UsageError
from workspace.printable import in_line

OPENAI = "openai"
_OPENAI_ENDPOINT = "https://api.openai.com/v1"
_KEYS = ("provider", "model", "endpoint", "key", "price", "price_link", "price_date", "per_minute", "parameters")
#: What the request has anyway, or what asks for another kind of answer than one image.
_NOT_PARAMETERS = frozenset({"model", "prompt", "inputs", "n", "stream", "partial_images"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RemoteGenerator:
    """A generator that a provider samples, and what a request costs."""

    recipe: GeneratorRecipe
    provider: str
    model: str
    endpoint: str | None
    key: str
    price: float | None
    """US dollars for an image; None: not known."""
    price_link: str | None
    price_date: str | None
    """When that was its price."""
    per_minute: float | None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """ORG/NAME"""
        return self.recipe.name

    @property
    def entry(self) -> CatalogEntry:
        """Its row. Its revision is a hash of all that a request says beside the prompt: providers tell no commit, and
        may change a model under its name."""
        provider = Provider(
            name=self.provider,
            model=self.model,
            endpoint=self.endpoint,
            parameters=_json(self.parameters) if self.parameters else None,
        )
        said = [self.provider, self.model, self.endpoint, dict(self.parameters), dict(self.recipe.settings)]
        revision = hashlib.sha256(_json(said).encode()).hexdigest()
        return row_of(self.recipe, revision=revision, provider=provider, architecture_evidence="as its file says")


def remote_generator(recipe: GeneratorRecipe) -> RemoteGenerator:
    """What a file says of a remote generator. Raises `UsageError`, which says what is wrong with which table."""
    where, table = recipe.where, recipe.how
    if recipe.kind != "remote":
        raise UsageError(
            f'["{recipe.name}"]: its kind is {recipe.kind}, so no provider samples it: {_INSTEAD[recipe.kind]}'
        )
    if recipe.task != "text-to-image":
        raise UsageError(f'["{recipe.name}"]: task must be text-to-image: a provider gets prompts')
    for key in table:
        if key not in _KEYS:
            raise UsageError(f"{where}: there is no {in_line(key)}; there are {', '.join(_KEYS)}")
    texts = {key: _text(where, table, key) for key in (*_KEYS[:4], "price_link", "price_date")}
    provider, model = texts["provider"], texts["model"]
    if provider is None or model is None:
        raise UsageError(f"{where}: needs provider and model")
    if provider != OPENAI and texts["endpoint"] is not None:
        raise UsageError(f"{where}: endpoint is for provider openai; {provider} has its own address")
    endpoint = _endpoint(where, texts["endpoint"] or _OPENAI_ENDPOINT) if provider == OPENAI else None
    key = texts["key"] or ("OPENAI_API_KEY" if endpoint == _OPENAI_ENDPOINT else "HF_TOKEN")
    if texts["key"] is None and provider == OPENAI and endpoint != _OPENAI_ENDPOINT:
        raise UsageError(f"{where}: needs key, the name of the environment's variable that has the key for {endpoint}")
    if not _VARIABLE.fullmatch(key):
        raise UsageError(f"{where}: key must be the name of a variable of the environment, not a key")
    return RemoteGenerator(
        recipe=recipe,
        provider=provider,
        model=model,
        endpoint=endpoint,
        key=key,
        price=_number(where, table, "price", least=0.0),
        price_link=texts["price_link"],
        price_date=texts["price_date"],
        per_minute=_number(where, table, "per_minute", least=0.001),
        parameters=_parameters(where, table.get("parameters", {})),
    )


_INSTEAD = {"program": "add it with `cf-add`", "import": "import its images with `cf-import`"}


def find_generators(texts: Sequence[str]) -> list[RemoteGenerator]:
    """The remote generators that texts name: a TOML file (all of its remote generators), the name of one that comes
    with this project, or PROVIDER/MODEL. Raises `UsageError`."""
    found: list[RemoteGenerator] = []
    for text in texts:
        found += _named(text)
    names = [one.name for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--remote: {twice} is named twice")
    return found


def shipped_recipes() -> list[GeneratorRecipe]:
    """The commercial generators of the study that come with this project, those included that can only be imported."""
    with resources.as_file(resources.files("generators") / "commercial") as folder:
        return [recipe for path in sorted(folder.glob("*.toml")) for recipe in read_recipes(path)]


def _named(text: str) -> list[RemoteGenerator]:
    if text.endswith(".toml"):
        remote = [recipe for recipe in read_recipes(Path(text)) if recipe.kind == "remote"]
        if not remote:
            raise UsageError(f'--remote {text}: it has no generator with kind = "remote"')
        return [remote_generator(recipe) for recipe in remote]
    shipped = shipped_recipes()
    for recipe in shipped:
        if text in (recipe.name, f"{recipe.how.get('provider')}/{recipe.how.get('model')}"):
            return [remote_generator(recipe)]
    provider, slash, model = text.partition("/")
    if not provider or not slash or not model:
        known = ", ".join(recipe.name for recipe in shipped if recipe.kind == "remote")
        raise UsageError(f"--remote {text}: name a TOML file, PROVIDER/MODEL, or one of {known}")
    recipe = GeneratorRecipe(
        name=f"{provider}/{_IN_NAMES.sub('-', model.rpartition('/')[2]).strip('-._') or 'model'}",
        kind="remote",
        subset="Commercial",
        architecture="Commercial",
        task="text-to-image",
        study=None,
        study_source=None,
        license=None,
        license_name=None,
        license_link=None,
        link=None,
        trained_on=None,
        weights=None,
        base_model=None,
        how={"provider": provider, "model": model},
        folder=Path(),
    )
    return [remote_generator(recipe)]


def _endpoint(where: str, text: str) -> str:
    """An address that a key may be sent to: https, or http on this machine or network."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise UsageError(f"{where}: endpoint must be an address such as {_OPENAI_ENDPOINT}, without name and password")
    if parts.scheme == "http" and not _is_near(host):
        raise UsageError(f"{where}: endpoint must be https: the key and the prompts would be readable on the way")
    return text.rstrip("/")


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def _parameters(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where}: parameters must be a table")
    for name, one in value.items():
        if name in _NOT_PARAMETERS:
            raise UsageError(f"{where}: parameters must not have {name}: each request is for one image of one prompt")
        if not _is_plain(one):
            raise UsageError(f"{where}: parameters: {in_line(name)} must be a text, a number, true or false")
    return dict(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_plain(one) for one in value)
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _text(where: str, table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not in_line(value) or len(value) > 1000:
        raise UsageError(f"{where}: {key} must be a text of 1 to 1,000 characters")
    return in_line(value)


def _number(where: str, table: Mapping[str, Any], key: str, least: float) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
        raise UsageError(f"{where}: {key} must be a number of at least {least:g}")
    return float(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
