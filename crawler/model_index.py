"""`model_index.json`: which components a pipeline has, and which of them the sampler does without.

diffusers writes one list of two texts for each component: the library and the class that load it. Crawler and sampler
read the file with this one parser, so that both mean the same components. It imports nothing but the standard library.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

#: The file in which diffusers describes a pipeline, at the root of its repository.
MODEL_INDEX = "model_index.json"
#: Components that are not loaded where the pipeline class calls them optional: the sampler checks every image with its
#: own safety checker and feature extractor, and a watermark changes pixels.
REPLACED = frozenset({"safety_checker", "feature_extractor", "watermarker"})
#: Those of them that are not downloaded either. A watermarker's files (IF pipelines) are listed in the catalogue.
NOT_DOWNLOADED = REPLACED - {"watermarker"}

# The name becomes a folder below the repository's.
_COMPONENT_NAME = re.compile(r"\w{1,100}", re.ASCII)
#: Characters of the name of a library or a class at most, and of an unusable name that an error message quotes.
_MAX_NAME = _QUOTED = 100


def components(model_index: Mapping[str, Any], taken: Collection[str] | None = None) -> dict[str, tuple[str, str]]:
    """The components that the content of a `model_index.json` names, in its order: library and class, by component.

    `taken` are the parameters of the pipeline class's constructor; other entries, such as the ControlNet of another
    pipeline, are ignored as diffusers ignores them. None: all entries are read.

    Skipped are private entries (`_class_name`), settings of the pipeline (a flag, a text, a list of numbers such as the
    layers of a text encoder to read) and components that the repository does not have (`[null, null]`). Raises
    `ValueError` for a list of anything else, and for a name that cannot be a folder.
    """
    found: dict[str, tuple[str, str]] = {}
    for name, value in model_index.items():
        if name.startswith("_") or not isinstance(value, list) or all(item is None for item in value):
            continue
        if taken is not None and name not in taken:
            continue
        if all(isinstance(item, int | float) for item in value):
            continue
        if len(value) != 2 or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{MODEL_INDEX}: {name[:_QUOTED]!r} is not a pair of library and class")
        if _COMPONENT_NAME.fullmatch(name) is None:
            raise ValueError(f"{MODEL_INDEX}: {name[:_QUOTED]!r} is not a valid component name")
        if any(len(item) > _MAX_NAME for item in value):
            raise ValueError(f"{MODEL_INDEX}: {name}: a name has more than {_MAX_NAME} characters")
        found[name] = (value[0], value[1])
    return found
