"""What a user says of a generator on this machine, in a line of a list or in a table of a TOML file.

    models = ["ORG/NAME", "folders/my-pipeline"]

    ["local/my-model"]
    path = "checkpoints/my-model.safetensors"
    config = "stable-diffusion-v1-5/stable-diffusion-v1-5@451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
    license = "creativeml-openrail-m"
    link = "https://civitai.com/models/4384"
    steps = 30
    guidance_scale = 7.0
    scheduler = "DPM++ 2M Karras"
    trigger_words = "my style"

Paths are relative to the folder of the TOML file. A table without `path` is a model of the Hub, and says nothing else.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crawler.card.call_fields import CALL_FIELDS, MAX_TEXT, valid_or_none
from crawler.card.samplers import sampler_named
from crawler.card.snippets import is_setting
from workspace.errors import UsageError
from workspace.printable import in_line
from workspace.repo_id import checked_repo_id, is_repo_id, split_revision

#: What a single-file checkpoint is called, and the pickles that are refused with a reason.
CHECKPOINTS = (".safetensors", ".ckpt")
#: The organization of generators without a name of their own.
LOCAL = "local"
_TEXTS = ("license", "license_name", "license_link", "link")
#: The settings by their short names, as options and settings files have them, and the columns of each.
_SETTINGS = {"steps": "num_inference_steps", "guidance_scale": "guidance_scale", "width": "width", "height": "height"}
_SETTING_TEXTS = ("negative_prompt", "trigger_words")
_PREDICTIONS = ("epsilon", "v_prediction", "sample", "flow")
_OTHERS = ("scheduler", "scheduler_config", "prediction_type", "extra")
KEYS = ("path", "config", "base_model", *_TEXTS, *_SETTINGS, *_SETTING_TEXTS, *_OTHERS)
_ADDRESS = re.compile(r"https?://[^\s<>\"']+")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+|-{2,}|\.{2,}", re.ASCII)


@dataclass(frozen=True)
class Config:
    """Where the configuration of a single-file checkpoint is."""

    #: Of a repository of the Hub, or of a folder on this machine.
    name: str
    #: Of the Hub; None: the newest commit.
    revision: str | None = None
    #: None: it is on the Hub.
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True)
class LocalGenerator:
    """A folder that diffusers has saved, or a checkpoint in one file; columns as in `crawler.catalog.CatalogEntry`."""

    name: str
    path: Path
    config: Config | None = None
    base_model: str | None = None
    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None
    link: str | None = None
    #: Fields of `crawler.catalog.Hyperparameters`.
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Whether it is a checkpoint in one file."""
        return self.path.suffix.lower() in CHECKPOINTS


def is_path(text: str) -> bool:
    """Whether a line names a folder or a file, and no repository of the Hub."""
    return text.startswith(("/", "./", "../", "~")) or text.lower().endswith(CHECKPOINTS)


def unnamed(text: str, folder: Path) -> LocalGenerator:
    """The generator at a path below `folder`, with a name by that of its file. Raises `UsageError`."""
    path = checked_path(text, folder)
    stem = path.stem if path.suffix.lower() in CHECKPOINTS else path.name
    name = f"{LOCAL}/{_NOT_IN_NAMES.sub('-', stem).strip('-._')[:90]}"
    if not is_repo_id(name):
        raise UsageError(f'{path}: it cannot be named by its file: name it in a TOML file, ["ORG/NAME"]')
    return LocalGenerator(name=name, path=path)


def from_tables(tables: Mapping[str, Any], folder: Path) -> tuple[list[str], list[LocalGenerator]]:
    """The texts under `models` and of tables without a path, and the generators of the other tables.

    Raises `UsageError`, which says what is wrong with which table.
    """
    texts: list[str] = []
    generators: list[LocalGenerator] = []
    for name, value in tables.items():
        if name == "models" and isinstance(value, list) and all(isinstance(one, str) for one in value):
            texts += value
            continue
        table = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(table, Mapping):
            raise UsageError(f'{in_line(name)}: must be a table ["ORG/NAME"], or models = ["ORG/NAME", ...]')
        where = f'["{in_line(name)}"]'
        try:
            checked_repo_id(name, namespace=True)
        except UsageError as error:
            raise UsageError(f"{where}: the name of a generator must be ORG/NAME, in quotes") from error
        if "path" not in table:
            if table:
                raise UsageError(f"{where}: has no path; what is said of a generator is for those with one")
            texts.append(name)
        else:
            generators.append(_generator(where, name, table, folder))
    return texts, generators


def _generator(where: str, name: str, table: Mapping[str, Any], folder: Path) -> LocalGenerator:
    check_keys(where, table, KEYS)
    texts = {key: checked_text(where, table, key) for key in ("path", "config", "base_model", *_TEXTS)}
    check_addresses(where, texts)
    path, config, base = texts.pop("path"), texts.pop("config"), texts.pop("base_model")
    if base is not None and not is_repo_id(base):
        raise UsageError(f"{where}: base_model must be ORG/NAME, of the Hub or of this file")
    generator = LocalGenerator(
        name=name,
        path=checked_path(path or "", folder),
        config=None if config is None else _config(where, config, folder),
        base_model=base,
        settings=checked_settings(where, table),
        **texts,
    )
    if generator.is_file and base is not None:
        raise UsageError(f"{where}: the base model of a file is that of its config; remove base_model")
    if not generator.is_file and config is not None:
        raise UsageError(f"{where}: a folder has its own configuration; remove config")
    return generator


def check_keys(where: str, table: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Raise `UsageError` for a key that is none of `keys`."""
    for key in table:
        if key not in keys:
            like = difflib.get_close_matches(key, keys, n=1)
            hint = f"; did you mean {like[0]}?" if like else f"; there are {', '.join(keys)}"
            raise UsageError(f"{where}: there is no {in_line(key)}{hint}")


def check_addresses(where: str, texts: Mapping[str, str | None]) -> None:
    """Raise `UsageError` for a link among `texts` that is no address."""
    for key in ("link", "license_link"):
        if texts[key] is not None and not _ADDRESS.fullmatch(texts[key] or ""):
            raise UsageError(f"{where}: {key} must be an address, https://...")


def _config(where: str, text: str, folder: Path) -> Config:
    path = checked_path(text, folder)
    if is_path(text) or path.is_dir():
        return Config(unnamed(str(path), folder).name, folder=path)
    try:
        return Config(*split_revision(text))
    except UsageError as error:
        raise UsageError(f"{where}: config must be ORG/NAME@COMMIT of the Hub, or a folder") from error


def checked_settings(where: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a table as columns of `crawler.catalog.Hyperparameters`. Raises `UsageError`."""
    found: dict[str, Any] = {}
    for key, column in _SETTINGS.items():
        if key in table:
            found[column] = valid_or_none(column, table[key])
            if found[column] is None:
                raise UsageError(f"{where}: {key} = {table[key]!r} is no value that a pipeline takes")
    for key in _SETTING_TEXTS:
        text = checked_text(where, table, key)
        if text is not None:
            found[key] = text
    found |= _scheduler(where, table)
    if "prediction_type" in table:
        if table["prediction_type"] not in _PREDICTIONS:
            raise UsageError(f"{where}: prediction_type must be one of {', '.join(_PREDICTIONS)}")
        found["prediction_type"] = table["prediction_type"]
    if "extra" in table:
        if not _are_arguments(table["extra"]):
            raise UsageError(f"{where}: extra must be a table of the call's further arguments, such as clip_skip = 2")
        found["extra"] = json.dumps(table["extra"], ensure_ascii=False, sort_keys=True) if table["extra"] else None
    return found


def _scheduler(where: str, table: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if "scheduler" in table:
        value = table["scheduler"]
        named = sampler_named(value) if isinstance(value, str) else None
        if named is None:
            raise UsageError(
                f"{where}: scheduler must be a class of diffusers, or what web UIs call a sampler, such as Euler a"
            )
        found, settings = {"scheduler": named.class_name, "scheduler_config": None}, dict(named.settings)
    if "scheduler_config" in table:
        given = table["scheduler_config"]
        if not isinstance(given, Mapping) or not _are_plain(given):
            raise UsageError(
                f"{where}: scheduler_config must be a table of the scheduler's settings, such as "
                "{ rescale_betas_zero_snr = true }"
            )
        settings |= given
    if settings:
        found["scheduler_config"] = json.dumps(settings, ensure_ascii=False, sort_keys=True)
    return found


def _are_arguments(value: Any) -> bool:
    """Whether these are arguments that a call may have beside those with columns of their own."""
    if not isinstance(value, Mapping) or not all(is_setting(name) and name not in CALL_FIELDS for name in value):
        return False
    return _are_plain(value)


def _are_plain(values: Mapping[str, Any]) -> bool:
    """Whether these are numbers, texts and lists of them."""
    items = (one for given in values.values() for one in (given if isinstance(given, list) else [given]))
    return all(isinstance(one, bool | int | float | str) for one in items)


def checked_text(where: str, table: Mapping[str, Any], key: str) -> str | None:
    """The text under a key; None: there is none. Raises `UsageError`."""
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not in_line(value) or len(value) > MAX_TEXT:
        raise UsageError(f"{where}: {key} must be a text of 1 to {MAX_TEXT:,} characters")
    return value if key in ("path", "config") else in_line(value)


def checked_path(text: str, folder: Path) -> Path:
    """The path in a text, below `folder` where it is relative. Raises `UsageError`."""
    try:
        return folder.absolute() / Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{text}: {error}") from error
