"""A folder tree as a source: who made an image, and whether it is real, is in the names of its folders.

GENERATOR/real, GENERATOR/fake             and {train,val,test}/GENERATOR/... of both (cf-export --layout real-fake)
GENERATOR/CLASS/0_real, .../1_fake         Wang et al.; {train,val,test}/GENERATOR/{0_real,1_fake}
GENERATOR/{train,val}/{nature,ai}          GenImage, whose val is its test
{train,validation,test}/{real,fake}        the generated images are of one generator, named as the source
{train,validation,test}/{real,GENERATOR}
GENERATOR/...                              Synthbuster and Ojha et al.: no folder says what is real, so all images are
                                           generated, but those in a folder that is called as a known set of
                                           photographs (`_REAL_SETS`)
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

from detectors.data.sources.files import FilesSource, ListedFile, is_image
from manifests.exporting.destination import is_of_export, trees_of
from manifests.manifest import FAKE, REAL
from workspace.errors import UsageError
from workspace.folder_tree import paths_below
from workspace.layout import Workspace
from workspace.number_text import counted
from workspace.printable import in_line, printable

_REAL = frozenset({"real", "0_real", "nature"})
_FAKE = frozenset({"fake", "1_fake", "ai"})
_SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
#: Folders of photographs in sets whose folders do not say what is real.
_REAL_SETS = frozenset({"imagenet", "laion", "coco", "raise", "ffhq", "celeba", "celeba-hq", "lsun", "openimages"})


def tree_source(folder: Path, workspace: Workspace) -> FilesSource:
    """The images below a folder. Raises `UsageError` where there are none, none is in a folder of its own, or they
    are several trees of an export."""
    paths, others, strange = [], 0, 0
    unread: list[OSError] = []
    for path in paths_below(folder, on_error=unread.append):
        if printable(path) != path:
            strange += 1
        elif is_image(path):
            paths.append(path)
        elif is_of_export(folder / path):
            _require_one_tree((folder / path).parent, folder)
        elif not PurePath(path).name.startswith("."):
            others += 1
    if not paths:
        raise UsageError(f"--data {folder}: has no images; it must be a tree such as GENERATOR/real and GENERATOR/fake")
    parts = [Path(path).parts[:-1] for path in paths]
    known = {part.lower() for folders_of in parts for part in folders_of}
    remarks = [f"{folder.name}: {counted(others, 'file')} with other names than images have"] if others else []
    if strange:
        names = counted(strange, "file")
        remarks.append(f"{folder.name}: left out, because no table holds the characters of their names: {names}")
    if unread:
        first = f"{in_line(str(unread[0].filename))} ({unread[0].strerror})"
        remarks.append(f"{folder.name}: {counted(len(unread), 'folder')} that cannot be read, such as {first}")
    if known & _REAL:
        files = list(_labelled(paths, folder.name, bool(known & _FAKE), remarks))
    elif known & _FAKE:
        files = list(_labelled(paths, folder.name, True, remarks))
    else:
        files = list(_unlabelled(paths, folder, remarks))
    return FilesSource(folder.name, folder, files, workspace, folder, remarks)


def _require_one_tree(export: Path, folder: Path) -> None:
    """Refuse the folder of an export with the same images several times, unchanged and encoded anew."""
    if trees := trees_of(export):
        raise UsageError(f"--data {folder}: cf-export made several trees in {export}: name one of {', '.join(trees)}")


def _labelled(paths: list[str], source: str, has_fake: bool, remarks: list[str]) -> Iterator[ListedFile]:
    unknown = []
    for path in paths:
        folders = Path(path).parts[:-1]
        split = next((_SPLITS[part.lower()] for part in folders if part.lower() in _SPLITS), None)
        labels = [part for part in folders if part.lower() in _REAL | _FAKE]
        named = [part for part in folders if part.lower() not in {*_SPLITS, *_REAL, *_FAKE}]
        if labels and labels[-1].lower() in ("nature", "ai") and split == "validation":
            split = "test"
        beside = "/".join(part for part in folders if part.lower() not in _REAL | _FAKE)
        if labels and labels[-1].lower() in _REAL:
            yield ListedFile(path, REAL, None, beside, split)
        elif labels or (not has_fake and named):
            pooled = "/".join(part for part in folders if part.lower() in _SPLITS)
            yield ListedFile(path, FAKE, named[0] if named else source, beside if labels else pooled, split)
        else:
            unknown.append(path)
    if unknown:
        remarks.append(
            f"{source}: left out, because no folder says whether they are real: {counted(len(unknown), 'image')}, such "
            f"as {in_line(unknown[0])}"
        )


def _unlabelled(paths: list[str], folder: Path, remarks: list[str]) -> Iterator[ListedFile]:
    count: Counter[str] = Counter()
    for path in paths:
        folders = Path(path).parts[:-1]
        if not folders:
            raise UsageError(f"--data {folder}: {path} is in no folder of a generator; name images in a .csv instead")
        real = folders[0].lower() in _REAL_SETS
        count["real" if real else "generated"] += 1
        if real:
            yield ListedFile(path, REAL, real_source=folders[0])
        else:
            yield ListedFile(path, FAKE, folders[0])
    remarks.append(
        f"{folder.name}: no folder is named real or fake, so each folder counts as a generator, but those of known "
        f"photographs: {count['generated']} images are generated and {count['real']} real"
    )
