"""The settings of a user and what each may be, from options, a settings file or a mapping of its form.

["ORG/NAME"]
steps = 20

["ORG/*"]
scheduler = "DDIMScheduler"
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from crawler.accepted_settings import SettingName, scheduler_fault
from workspace.errors import UsageError

Value: TypeAlias = int | float | str
Values: TypeAlias = Mapping[str, Value]
"""Settings by the names that options and files have for them."""

#: The settings that are options as well, and the field of `Hyperparameters` of each.
FIELDS: dict[str, SettingName] = {
    "steps": "num_inference_steps",
    "guidance_scale": "guidance_scale",
    "width": "width",
    "height": "height",
    "negative_prompt": "negative_prompt",
    "scheduler": "scheduler",
}
#: All that a table of a settings file may have.
KEYS = (*FIELDS, "images")

#: Largest values: the sides of an image that is accepted, and what the columns of a row hold.
_MAX_SIDE, _MAX_COUNT, _MAX_SCALE, _MAX_TEXT = 16_384, 2**31 - 1, 1000.0, 5000


def read_settings(source: Path | str | Mapping[str, Mapping[str, Any]] | None) -> dict[str, dict[str, Value]]:
    """The tables of a settings file, or of a mapping of that form, each value of its type.

    Raises `UsageError` for a file that cannot be read and, in one line, for what is no setting.
    """
    if source is None:
        return {}
    if isinstance(source, Mapping):
        return _checked_tables("settings", source)
    path = Path(source)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--settings {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f'--settings {path} is not TOML: {error}; a table begins with a name in quotes, ["ORG/NAME"]'
        ) from error
    return _checked_tables(f"--settings {path}", tables)


def checked_general(values: Mapping[str, Value | None]) -> dict[str, Value]:
    """The general options that are given; raises `UsageError` for one that no generator can have."""
    return {
        key: _checked(f"--{key.replace('_', '-')} {value}", key, value)
        for key, value in values.items()
        if value is not None
    }


def _checked_tables(where: str, tables: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {}
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise UsageError(
                f'{where}: {name} must be in a table of a generator, ["ORG/NAME"], or of a pattern such as ["*"]'
            )
        found[name] = {key: _checked(f'{where}: ["{name}"] {key}', key, value) for key, value in table.items()}
    return found


def _checked(where: str, key: str, value: Any) -> Value:
    """A value of the type of its setting; raises `UsageError` for another type, range or key."""
    is_number, is_count = type(value) in (int, float), type(value) is int
    if key == "guidance_scale":
        _require(is_number and 0 <= value <= _MAX_SCALE, where, f"must be a number from 0 to {_MAX_SCALE:g}")
        return float(value)
    if key in ("width", "height"):
        _require(is_count and 1 <= value <= _MAX_SIDE, where, f"must be a whole number from 1 to {_MAX_SIDE:,}")
    elif key in ("steps", "images"):
        _require(is_count and 1 <= value <= _MAX_COUNT, where, "must be a whole number, at least 1")
    elif key == "negative_prompt":
        is_text = isinstance(value, str) and len(value) <= _MAX_TEXT
        _require(is_text, where, f"must be a text of at most {_MAX_TEXT:,} characters")
    elif key == "scheduler":
        _require(isinstance(value, str), where, "must be the name of a class of diffusers")
        fault = scheduler_fault(value)
        _require(fault is None, where, str(fault))
    else:
        like = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"; did you mean {like[0]}?" if like else ""
        raise UsageError(f"{where}: there is no such setting, there are {', '.join(KEYS)}{hint}")
    return value  # type: ignore[no-any-return]


def _require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise UsageError(f"{where}: {what}")
