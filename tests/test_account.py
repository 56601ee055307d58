"""The tests do not see the Hub account of the user who runs them, for any selection of tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
#: A file of a folder whose conftest imports huggingface_hub; it is collected before this file.
CRAWLER = "crawler/test_text.py"
TOKEN = "hf_of_the_person_who_runs_the_tests"


def test_no_account_is_seen() -> None:
    import huggingface_hub
    from huggingface_hub import constants

    assert huggingface_hub.get_token() is None
    assert str(Path(os.environ["CF_TESTS_FOLDER"]) / "hf-home") == constants.HF_HOME
    assert constants.ENDPOINT == "https://huggingface.co"
    assert not constants.HF_HUB_OFFLINE


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a token in every place where huggingface_hub reads one."""
    for folder in (tmp_path / "home/.cache/huggingface", tmp_path / "hf-home"):
        folder.mkdir(parents=True)
        (folder / "token").write_text(TOKEN)
        (folder / "stored_tokens").write_text(f"[mine]\nhf_token = {TOKEN}\n")
    fresh = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CF_", "HF_", "PYTEST_")) and name not in ("PYTHONPATH", "NO_PROXY", "no_proxy")
    }
    account = {"HF_TOKEN": TOKEN, "HUGGING_FACE_HUB_TOKEN": TOKEN, "HF_TOKEN_PATH": str(tmp_path / "hf-home/token")}
    return {
        **fresh,
        **account,
        "HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "HF_ENDPOINT": "http://192.0.2.1",
    }


def run(environment: dict[str, str], *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run the check above, and nothing else, where the conftest of another folder was imported before."""
    check = [Path(__file__).name, "-k", test_no_account_is_seen.__name__]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, CRAWLER, *check]
    return subprocess.run(command, cwd=TESTS, env={**environment, **more}, capture_output=True, text=True, check=False)


def test_the_users_token_and_settings_are_hidden_from_any_selection(environment: dict[str, str]) -> None:
    ended = run(environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_a_folder_of_the_hub_of_the_users_own_is_hidden_from_workers_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    ended = run(
        environment,
        HF_HOME=str(tmp_path / "hf-home"),
        PYTEST_ADDOPTS="-p tests.workers --workers 2",
        PYTHONPATH=str(TESTS.parent),
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_a_library_that_was_imported_too_early_is_an_error(environment: dict[str, str]) -> None:
    ended = run(environment, "-p", "huggingface_hub")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "huggingface_hub was imported before tests/conftest.py" in ended.stderr + ended.stdout
