"""Install requirements with pip, each file checked by its hash: `python requirements/install.py ARGUMENTS_OF_PIP`.

pip checks hashes only where it is told every package with its hashes, and which packages those are depends on the
platform and on the build of torch: that for CUDA needs a dozen more than that for CPUs. So pip is asked twice: first
what it would install, which installs nothing, then to install exactly that, with the hashes in requirements/hashes and
nothing else. A package without a hash there, or a file with another one, ends the installation.

It needs nothing but Python and pip, and installs into the environment that it runs in.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lock import HASHES, entries

_PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def _install(*arguments: str) -> str:
    return subprocess.run([*_PIP, "install", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def _key(name: str, version: str) -> str:
    """A package in the spelling that all its spellings share; a build such as 2.13.0+cpu counts as its version."""
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version.partition('+')[0]}"


def _known() -> dict[str, list[str]]:
    """The hashes of each package."""
    known: dict[str, list[str]] = {}
    for path in sorted(HASHES.glob("*.txt")):
        for package, hashes in entries(path.read_text(encoding="utf-8")).items():
            known.setdefault(_key(*package.split("==", 1)), []).extend(hashes)
    return known


def main(arguments: list[str]) -> int:
    """Install what these arguments of pip name, but for a folder such as this project's."""
    _install("--require-hashes", "--requirement", str(HASHES / "build.txt"))
    report = json.loads(
        _install("--dry-run", "--ignore-installed", "--no-build-isolation", "--report", "-", *arguments)
    )
    needed = [
        _key(package["metadata"]["name"], package["metadata"]["version"])
        for package in report["install"]
        if "dir_info" not in package["download_info"]
    ]
    known = _known()
    if missing := [key for key in needed if key not in known]:
        sys.stderr.write(f"error: requirements/hashes has no {', '.join(missing)}: run `make hashes`\n")
        return 1
    lines = (" ".join([key, *(f"--hash={text}" for text in known[key])]) for key in needed)
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder, "chosen.txt")
        chosen.write_text("\n".join(lines))
        _install("--require-hashes", "--no-deps", "--no-build-isolation", "--requirement", str(chosen))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # pip has said what is wrong
