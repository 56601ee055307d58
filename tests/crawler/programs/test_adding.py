import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from crawler.accepted_settings import refusal
from crawler.adding import Added
from crawler.catalog import CatalogEntry, Program
from crawler.explanation import explain
from crawler.options import AddOptions
from crawler.programs.adding import add_programs
from workspace import recipe
from workspace.errors import UsageError
from workspace.layout import Workspace
from workspace.roots import read_places

MODULE = "def sample(seeds, folder, truncation=1.0, *, negative_prompts=None):\n    return []\n"
NAME = "me/faces"


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., CatalogEntry]:
    """Adds a generator with a module, a weight file and a folder of code; changes of its table and of the options."""
    (tmp_path / "faces.py").write_text(MODULE)
    (tmp_path / "model.pth").write_bytes(b"weights")
    for path in ("code/net/__init__.py", "code/net/__pycache__/x.pyc", "code/.git/config", "code/run.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)

    def added(options: AddOptions = AddOptions(), task: str = "unconditional", **changes: Any) -> CatalogEntry:
        how = {"format": "python", "file": "faces.py", "files": ["model.pth"], "code": ["code"], **changes}
        how = {key: value for key, value in how.items() if value is not None}
        table = {"kind": "program", "architecture": "GAN", "task": task, "weights": "https://example.org/w"}
        _write(tmp_path, {NAME: {**table, "program": how}})
        return _added(tmp_path, options).entries[0]

    return added


def _write(folder: Path, tables: dict[str, Any]) -> None:
    (folder / "g.toml").write_text(tomli_w.dumps(tables))


def _added(folder: Path, options: AddOptions = AddOptions()) -> Added:
    return add_programs(Workspace.open(folder / "workspace"), folder / "g.toml", options)


def test_a_program_is_pinned_by_the_hash_of_all_its_files_and_says_how_it_is_called(
    add: Callable[..., CatalogEntry], tmp_path: Path
) -> None:
    row = add(pixels="-1..1", packages=["PIL"])
    # Not the caches of Python nor of git.
    assert [file.path for file in row.files] == ["faces.py", "model.pth", "code/net/__init__.py", "code/run.py"]
    assert row.files[1].sha256 == hashlib.sha256(b"weights").hexdigest()
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in sorted(row.files, key=lambda file: file.path))
    assert row.revision == hashlib.sha256(lines.encode()).hexdigest()
    assert row.program == Program(
        format="python",
        file="faces.py",
        function="sample",
        code=("code",),
        packages=("PIL",),
        settings=("truncation", "negative_prompt"),
        pixels="-1..1",
    )
    assert (row.status, row.is_local, row.endpoint, row.subset) == ("compatible", True, None, "Manual")
    assert row.download_bytes == sum(file.size for file in row.files)
    name = f"{NAME}@{row.revision[:12]}"
    assert read_places(Workspace(tmp_path / "workspace")) == {
        f"{name}/{part}": tmp_path / part for part in ("faces.py", "model.pth", "code")
    }
    # Where they are is no part of what is published.
    assert str(tmp_path).encode() not in (tmp_path / "workspace" / "catalog.parquet").read_bytes()


def test_other_bytes_are_another_revision_that_a_sampled_workspace_gets_in_another_round(
    add: Callable[..., CatalogEntry], tmp_path: Path
) -> None:
    before = add()
    recipe.pin(Workspace(tmp_path / "workspace"), "sample", {"images": 4})
    (tmp_path / "code" / "run.py").write_text("other")
    with pytest.raises(UsageError, match="another revision, and this workspace was sampled: add --update"):
        add()
    after = add(AddOptions(update=True))
    assert after.revision != before.revision
    assert (after.round, after.further_revision) == (2, True)


def test_the_files_may_be_in_another_folder_than_the_table(add: Callable[..., CatalogEntry], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("faces.py", "model.pth", "code"):
        (tmp_path / name).rename(elsewhere / name)
    with pytest.raises(UsageError, match=r"faces.py does not exist: me/faces needs it; it comes from https://example"):
        add()
    assert add(AddOptions(files=elsewhere)).status == "compatible"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "keras"}, r'\["me/faces".program\]: format must be one of python, torchscript'),
        ({"noise": [2]}, "there is no noise"),
        ({"file": None}, "needs file"),
        ({"file": "model.pth", "files": []}, "model.pth defines no function sample"),
        ({"file": "code"}, "code cannot be read: Is a directory|have one name"),
        ({"function": "paint"}, r"faces.py defines no function paint\(seeds, ...\)"),
        ({"adapter": "stylegan9"}, "give file or adapter, not both"),
        ({"adapter": "stylegan9", "file": None}, "there is no adapter stylegan9"),
        ({"files": ["model.pth", "code/../x/model.pth"]}, "have one name, and would be in one folder"),
        ({"files": "model.pth"}, "files must be a list of texts"),
        ({"packages": ["scikit-learn"]}, "name packages as they are imported"),
        ({"pixels": "0-1"}, "pixels must be one of -1..1, 0..1, 0..255"),
        ({"classes": 10}, 'has classes, so its task must be "class-conditional"'),
        ({"task": "class-conditional"}, "needs classes, their number"),
        ({"task": "class-conditional", "classes": 0}, "classes must be a number from 1"),
        ({"task": "text-to-image"}, "sample takes no prompts: a text-to-image generator needs it"),
        ({"format": "onnx", "code": None}, "needs noise, the shape of one image's noise"),
        ({"format": "onnx", "code": None, "noise": [3, 0]}, "needs noise"),
        ({"format": "onnx", "code": None, "noise": [2**20, 2**20]}, "needs noise"),
        ({"format": "onnx", "code": None, "noise": [3]}, "pixels must be one of"),
        ({"format": "onnx"}, "there is no code"),
        ({"format": "onnx", "code": None, "noise": [3], "task": "text-to-image"}, "a model takes no prompts"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    add: Callable[..., CatalogEntry], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        add(**changes)
    assert "\n" not in str(raised.value)


@pytest.mark.attack
def test_a_link_in_a_folder_of_code_may_not_lead_out_of_it(add: Callable[..., CatalogEntry], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token")
    (tmp_path / "code" / "weights.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match="is a link that leads out of its folder"):
        add()


def test_a_module_is_not_run_when_it_is_added(add: Callable[..., CatalogEntry], tmp_path: Path) -> None:
    (tmp_path / "faces.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n{MODULE}")
    assert add().status == "compatible"
    assert not (tmp_path / "ran").exists()
    (tmp_path / "faces.py").write_text("def sample(:")
    with pytest.raises(UsageError, match="is no Python module"):
        add()


def test_a_package_that_is_missing_makes_it_incompatible_until_it_is_installed(
    add: Callable[..., CatalogEntry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = add(packages=["a_package_for_faces"])
    assert (row.status, row.reason) == ("incompatible", "needs-package")
    assert "install it, and add it again with `cf-add`" in (row.reason_detail or "")
    (tmp_path / "installed" / "a_package_for_faces").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    assert add(packages=["a_package_for_faces"]).status == "compatible"


def test_a_table_of_another_kind_and_an_unknown_name_are_refused(
    add: Callable[..., CatalogEntry], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"--only me/x: .*g.toml has no such generator; it has me/faces"):
        add(AddOptions(only=("me/x",)))
    _write(tmp_path, {NAME: {"kind": "import", "architecture": "GAN"}})
    with pytest.raises(UsageError, match="me/faces is of kind import, which is for `cf-import`"):
        _added(tmp_path)


def test_options_of_sampling_hold_for_programs_that_take_them(add: Callable[..., CatalogEntry]) -> None:
    row = add()
    assert row.program is not None
    taking = replace(row, program=replace(row.program, settings=("num_inference_steps",)))
    assert refusal(taking, "num_inference_steps", 2) is None
    assert refusal(row, "num_inference_steps", 2) == "a program that takes no num_inference_steps"
    assert refusal(row, "scheduler", "DDIMScheduler") == "a program that takes no scheduler"


def test_each_value_of_its_row_has_its_source(add: Callable[..., CatalogEntry]) -> None:
    shown = {name: (value, source) for name, value, source in explain(add())}
    assert shown["program"][0].startswith("format python; file faces.py; function sample; code code; settings")


def test_the_command_says_what_it_added(add: Callable[..., CatalogEntry], tmp_path: Path) -> None:
    add()
    command = [sys.executable, "-m", "crawler.programs.cli", "--workspace", str(tmp_path / "other")]
    ran = subprocess.run([*command, str(tmp_path / "g.toml")], capture_output=True, text=True, check=True)
    assert f"{NAME}: added, round 1; GAN, unconditional, 4 files" in ran.stdout
    ran = subprocess.run([*command, "no-such-model"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "neither a TOML file nor one of generators/manual" in ran.stderr
