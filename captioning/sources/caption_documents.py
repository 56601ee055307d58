"""A JSON document with the captions of many images: `captions.json`, `metadata.json`, `dataset_flickr8k.json`.

    {"a.jpg": "a cat", "b.jpg": ["a dog", "two dogs"]}                              names, and captions
    [{"file_name": "a.jpg", "caption": "a cat"}]                                    rows, as in a table
    {"images": [{"filename": "a.jpg", "sentences": [{"raw": "a cat"}]}]}            Karpathy's splits
    {"images": [{"id": 1, "file_name": "a.jpg"}],
     "annotations": [{"image_id": 1, "caption": "a cat"}]}                          COCO's annotations

It is read as a whole.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captioning.sources.captions import CAPTION_NAMES
from workspace.regular_file import read_regular

#: Characters of a document at most: twice those of the largest of Karpathy's, that of COCO.
LARGEST = 1 << 28


def whole_text(path: Path, within: Path) -> str:
    """The text of a document in the folder `within`. Raises `OSError`, and `ValueError` for one that is no UTF-8 or is
    too long."""
    content = read_regular(path, within, LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} bytes")
    return content.decode("utf-8-sig")


def rows_of(document: Any) -> Iterator[dict[str, Any]]:
    """The rows of a document, each with the name of an image and captions; none where it has another form."""
    if isinstance(document, list):
        yield from (row for row in document if isinstance(row, dict))
    elif isinstance(document, dict):
        images, annotations = document.get("images"), document.get("annotations")
        if isinstance(images, list):
            captions = _by_image(annotations) if isinstance(annotations, list) else {}
            for row in images:
                if isinstance(row, dict):
                    yield {**row, "captions": captions.get(_key(row.get("id")), [])} if captions else row
        else:
            for name, value in document.items():
                named = {"file_name": name}
                yield {**value, **named} if isinstance(value, dict) else {CAPTION_NAMES[0]: value, **named}


def _by_image(annotations: list[Any]) -> dict[str, list[Any]]:
    """The captions of each image, by its id."""
    captions: dict[str, list[Any]] = defaultdict(list)
    for annotation in annotations:
        if isinstance(annotation, dict) and "caption" in annotation:
            captions[_key(annotation.get("image_id"))].append(annotation["caption"])
    return captions


def _key(number: object) -> str:
    """An id that may be a number or a text."""
    return str(number)
