"""A .csv as a source: path, label and generator of each image, and more where it has it.

    path,label,generator,architecture,real_source,split,created_at,kin
    photos/1.jpg,0,,,COCO,test,,
    sdxl/1.png,1,stabilityai/sdxl,LatDiff,,test,2023-07-25,sd

The first two columns are needed; of generated images the generator too. Paths are relative to the folder of the .csv.
"""

import csv
from pathlib import Path

from crawler.holdout import Split
from detectors.data.sources.files import FilesSource, ListedFile
from detectors.data.sources.source import GeneratorFacts
from manifests.manifest import FAKE
from workspace.errors import UsageError, in_one_line
from workspace.layout import Workspace

_NEEDED = ("path", "label")
_KNOWN = (*_NEEDED, "generator", "architecture", "real_source", "split", "created_at", "kin")
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def table_source(path: Path, workspace: Workspace) -> FilesSource:
    """The images that a .csv lists. Raises `UsageError` for the first row that cannot be understood."""
    files: list[ListedFile] = []
    facts: dict[str, GeneratorFacts] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            names = rows.fieldnames or ()
            missing = [name for name in _NEEDED if name not in names]
            if missing:
                raise UsageError(f"--data {path}: has no column {missing[0]}; it needs path, label and generator")
            for row in rows:
                listed = _listed(row, f"--data {path}, line {rows.line_num}")
                files.append(listed)
                if listed.generator is not None:
                    found = GeneratorFacts(row.get("kin") or None, row.get("created_at") or None)
                    if facts.setdefault(listed.generator, found) != found:
                        raise UsageError(
                            f"--data {path}, line {rows.line_num}: {listed.generator} has another kin or created_at "
                            "than in a line above"
                        )
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"--data {path}: cannot be read as UTF-8 CSV ({in_one_line(error, 150)})") from error
    if not files:
        raise UsageError(f"--data {path}: lists no images")
    unknown = [name for name in names if name not in _KNOWN]
    remarks = [f"{path.stem}: the columns {', '.join(unknown)} are not used"] if unknown else []
    return FilesSource(path.stem, path.parent, files, workspace, None, remarks, facts)


def _listed(row: dict[str, str | None], where: str) -> ListedFile:
    label, place, generator = row.get("label") or "", row.get("path") or "", row.get("generator") or None
    if None in row:
        raise UsageError(f"{where}: has more values than there are columns")
    if label.strip() not in ("0", "1") or not place:
        raise UsageError(f"{where}: needs a path, and a label 1 (generated) or 0 (real)")
    fake = label.strip() == str(FAKE)
    if fake and generator is None:
        raise UsageError(f"{where}: a generated image needs the name of its generator")
    split = row.get("split") or None
    if split is not None and split not in _SPLITS:
        raise UsageError(f"{where}: split {split!r} is not one of {', '.join(_SPLITS)}")
    return ListedFile(
        place,
        int(label),
        generator if fake else None,
        split=split,
        architecture=row.get("architecture") or None,
        real_source=row.get("real_source") or None,
    )
