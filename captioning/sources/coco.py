"""COCO as it is downloaded: folders of images, and the captions in annotation files.

    root/
      annotations/captions_val2017.json   images (with a licence each), annotations (captions), licenses
      val2017/000000000139.jpg            or images/val2017/...

A split is read when both its annotation file and its folder exist, so a copy of one split is enough; a folder without
an annotation file is named in a line. Of such a split every image of the annotation file is listed; one that is not on
the disk is reported as missing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from captioning.sources.caption_documents import whole_text
from captioning.sources.captions import captions_in_value
from captioning.sources.columns import Columns
from captioning.sources.licenses import parse_license
from captioning.sources.source import RealImage
from workspace.errors import UsageError, in_one_line
from workspace.json_text import load_json

LAYOUT = "annotations/captions_<split>.json beside the folder <split>/ or images/<split>/"


@dataclass(frozen=True)
class Coco:
    """A copy of COCO as a collection."""

    ids: Sequence[str]
    images: Mapping[str, RealImage]
    remarks: Sequence[str] = ()

    def image(self, real_id: str) -> RealImage:
        """The image with all its captions and its own licence."""
        return self.images[real_id]


def read_coco(root: Path, _: Columns = Columns()) -> Coco:
    """Open `root` as a copy of COCO. Raises `UsageError` when it has another layout."""
    annotations = sorted(root.glob("annotations/captions_*.json"))
    if not annotations:
        found = sorted(entry.name for entry in root.iterdir())[:5]
        raise UsageError(
            f"{root} does not look like COCO, which has {LAYOUT}; it holds {', '.join(found) or 'nothing'}"
        )
    images: dict[str, RealImage] = {}
    read: set[str] = set()
    remarks: list[str] = []
    for path in annotations:
        split = path.stem.removeprefix("captions_")
        folder = next((name for name in (split, f"images/{split}") if (root / name).is_dir()), None)
        if folder is not None:
            read.add(folder)
            images.update(_read_split(root, folder, path, remarks))
    if not images:
        splits = ", ".join(path.stem.removeprefix("captions_") for path in annotations)
        raise UsageError(f"{root} has captions for {splits} but no images for them: COCO has {LAYOUT}")
    remarks += [
        f"{folder}/ is not read: there is no annotations/captions_{PurePosixPath(folder).name}.json"
        for folder in _folders(root)
        if folder not in read
    ]
    return Coco(sorted(images), images, remarks)


def _folders(root: Path) -> list[str]:
    """The folders that may be those of splits."""
    found = [path.relative_to(root).as_posix() for path in (*root.glob("*/"), *root.glob("images/*/"))]
    return sorted(name for name in found if name not in ("annotations", "images") and not name.startswith("."))


def _read_split(root: Path, folder: str, path: Path, remarks: list[str]) -> dict[str, RealImage]:
    """The images of one annotation file, by id; `remarks` gets a line about captions of no image."""
    try:
        content = load_json(whole_text(path, root))
        licenses = {
            str(entry["id"]): parse_license(entry.get("name"), entry.get("url"))
            for entry in content.get("licenses", [])
        }
        # An id may be a number here and a text there.
        captions: dict[str, list[Any]] = defaultdict(list)
        for annotation in content["annotations"]:
            captions[str(annotation["image_id"])].append(annotation["caption"])
        images = {}
        for entry in content["images"]:
            name = _checked_name(entry["file_name"], path)
            license, redistributable = licenses.get(str(entry.get("license")), (None, None))
            real_id = f"{folder}/{name}"
            said = captions_in_value(captions.get(str(entry["id"]), []))
            images[real_id] = RealImage(
                real_id, root / real_id, said.texts, license, redistributable, said.dropped, within=root
            )
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON ({_cause(error)}): download it again") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} is not a COCO captions file, with images (id, file_name) and annotations (image_id, caption): "
            f"{in_one_line(error)}"
        ) from error
    if others := captions.keys() - {str(entry["id"]) for entry in content["images"]}:
        remarks.append(
            f"{path.relative_to(root)}: captions of ids that no image has: {len(others)}, such as {min(others)}"
        )
    return images


def _cause(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or in_one_line(error, named=False)


def _checked_name(name: str, path: Path) -> str:
    """A file name from an annotation file; raises `UsageError` when it points outside its folder."""
    parts = PurePosixPath(name).parts
    printable = "\x00" not in name and not any("\ud800" <= character <= "\udfff" for character in name)
    if not parts or name.startswith("/") or ".." in parts or not printable:
        raise UsageError(f"{path} names the image {name!r}, which is not a path below the folder of its split")
    return name
