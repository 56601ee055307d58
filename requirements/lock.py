"""Write the lists in requirements/hashes again: `make hashes`, after a pinned version or a dependency has changed.

uv asks the package index for the hashes of every file of each pinned version, for all platforms in pyproject.toml.
Which of the packages a platform needs is left out: pip decides it (requirements/install.py).
"""

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
HASHES = FOLDER / "hashes"
LAVIS = FOLDER.parent / "captioning" / "lavis"
#: Each list, and what it is made from.
LISTS = {
    "build.txt": ["--universal", FOLDER / "build.txt"],
    "project.txt": [
        "--universal",
        "--all-extras",
        "--constraints",
        FOLDER.parent / "constraints.txt",
        "pyproject.toml",
    ],
    "lavis.txt": ["--no-deps", "--python-version", "3.11", LAVIS / "requirements.txt"],
    "lavis-sources.txt": ["--no-deps", "--python-version", "3.11", LAVIS / "lavis.txt"],
}
_HEADER = "# Written by `make hashes` (requirements/lock.py): every file of each pinned version.\n"
_PACKAGE = re.compile(r"([\w.-]+==\S+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


def entries(text: str) -> dict[str, list[str]]:
    """The hashes of each package, by NAME==VERSION, in a text in pip's form."""
    found: dict[str, list[str]] = {}
    hashes: list[str] = []
    for line in text.splitlines():
        package = _PACKAGE.match(line)
        if package is not None:
            hashes = found.setdefault(package[1], [])
        hashes += _HASH.findall(line)
    return found


def _compiled(arguments: list[Path | str]) -> str:
    command = ["uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate", "--no-header"]
    return subprocess.run([*command, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Write every list."""
    other = entries((HASHES / "other.txt").read_text())
    for name, arguments in LISTS.items():
        lines = [_HEADER]
        for package, hashes in entries(_compiled(arguments)).items():
            known = [*hashes, *(text for text in other.get(package, ()) if text not in hashes)]
            lines.append(" \\\n    ".join([package, *(f"--hash={text}" for text in known)]) + "\n")
        (HASHES / name).write_text("".join(lines))


if __name__ == "__main__":
    sys.exit(main())
