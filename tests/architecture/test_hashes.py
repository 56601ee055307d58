"""The lists of hashes are those of the pinned versions, and the installer takes nothing else."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HASHES = ROOT / "requirements" / "hashes"
_ENTRY = re.compile(r"^([\w.-]+)==(\S+)((?: \\\n {4}--hash=sha256:[0-9a-f]{64})*)$", re.MULTILINE)


def listed(name: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes of each package in a list."""
    text = (HASHES / name).read_text()
    return {canonical(entry[1]): (entry[2], entry[3].count("--hash")) for entry in _ENTRY.finditer(text)}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(path: Path) -> dict[str, str]:
    lines = (line.partition("==") for line in path.read_text().splitlines() if "==" in line)
    return {canonical(name): version.strip() for name, _, version in lines}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("constraints.txt", "project.txt"),
        ("requirements/build.txt", "build.txt"),
        ("captioning/lavis/requirements.txt", "lavis.txt"),
        ("captioning/lavis/lavis.txt", "lavis-sources.txt"),
    ],
)
def test_every_pinned_version_has_hashes(source: str, name: str) -> None:
    hashes = listed(name)
    assert {package: hashes[package][0] for package in pinned(ROOT / source)} == pinned(ROOT / source)
    assert all(number > 0 for _, number in hashes.values())


def test_the_platforms_of_users_have_their_packages() -> None:
    hashes = listed("project.txt")
    # torch with CUDA, and what only macOS needs.
    assert {"triton", "nvidia-cudnn-cu13", "appnope"} <= hashes.keys()
    text = (HASHES / "other.txt").read_text()
    assert re.findall(r"--hash=\S+", text)[0] in (HASHES / "project.txt").read_text(), "torch for CPUs only"


def test_the_build_dependency_is_the_pinned_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (required,) = project["build-system"]["requires"]
    name, _, version = required.partition("==")
    assert listed("build.txt")[name][0] == version


def test_base_images_are_named_by_their_content() -> None:
    text = (ROOT / "Dockerfile").read_text()
    bases = re.findall(r"^(?:ARG BASE=|FROM )(\S+)", text, re.MULTILINE)
    assert len(bases) == 3
    assert all(base == "${BASE}" or re.search(r"@sha256:[0-9a-f]{64}$", base) for base in bases)
    assert text.count("\nUSER 10001\n") == 2, "no image runs as root"


@pytest.mark.attack
@pytest.mark.parametrize(("key", "reason"), [("sixth==1.0", "has no sixth==1.0"), ("seventh==1.0", "DO NOT MATCH")])
def test_a_package_that_is_not_listed_or_differs_is_not_installed(key: str, reason: str, tmp_path: Path) -> None:
    name = key.partition("==")[0]
    wheel(tmp_path, name)
    code = (
        "import sys; sys.path.insert(0, 'requirements'); import install\n"
        "known = install._known()\n"
        "install._known = lambda: {**known, 'seventh==1.0': ['sha256:' + '0' * 64]}\n"
        # The tools of the build come from the package index, which tests do not ask.
        "real = install._install\n"
        "install._install = lambda *given: '' if str(given[-1]).endswith('build.txt') else real(*given)\n"
        f"sys.exit(install.main([{name!r}]))"
    )
    command = [sys.executable, "-c", code]
    only_here = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    ended = subprocess.run(command, cwd=ROOT, env=only_here, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert reason in ended.stderr
    shown = subprocess.run([sys.executable, "-m", "pip", "show", name], capture_output=True, check=False)
    assert shown.returncode != 0, "it was installed"


def wheel(folder: Path, name: str) -> None:
    """A package without content."""
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as file:
        about = f"{name}-1.0.dist-info"
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
