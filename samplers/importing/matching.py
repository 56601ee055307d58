"""Which real image an imported one belongs to: that whose caption was its prompt, or whose file has its name.

With it the image is paired with that real image, and both are in one split. A prompt that is the caption of several
real images, or a name that several have, says nothing.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

from captioning.prompt import prompt_parts, read_part_columns
from samplers.importing.options import Match
from workspace.layout import Workspace

_COLUMNS = ("prompt_id", "prompt", "real_source", "real_id")


class RealImages:
    """The real images of one source, by their captions or names."""

    def __init__(self, by_key: Mapping[str, str | None], match: Match) -> None:
        self._by_key, self._match = by_key, match

    @classmethod
    def read(cls, workspace: Workspace, real_source: str | None, match: Match) -> "RealImages":
        """Those of a source in prompts/; none where there is no such source. Raises `UsageError` for prompts of another
        version."""
        found: dict[str, tuple[str, str | None] | None] = {}
        for part in prompt_parts(workspace) if real_source is not None and match != "none" else ():
            if part.parent.name != real_source:
                continue
            for row in read_part_columns(part, _COLUMNS).table.to_pylist():
                key = _text(row["prompt"]) if match == "prompt" else _name(row["real_id"] or "")
                image = (row["prompt_id"], row["real_id"])
                if key in found and (found[key] is None or found[key][1] != image[1]):  # type: ignore[index]
                    found[key] = None
                else:
                    found.setdefault(key, image)
        return cls({key: None if one is None else one[0] for key, one in found.items()}, match)

    def prompt_id(self, name: str, prompt: str | None) -> str | None:
        """The prompt of the real image that an image of this name, with this prompt, belongs to; None: none."""
        if self._match == "name":
            return self._by_key.get(_name(name))
        return None if prompt is None else self._by_key.get(_text(prompt))


def _text(prompt: str) -> str:
    return " ".join(prompt.split())


def _name(name: str) -> str:
    return PurePosixPath(name.rpartition("#")[2]).stem
