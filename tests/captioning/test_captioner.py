"""captioning/captioner.py: how a captioner is named."""

from pathlib import Path

import pytest

from captioning.captioner import CaptionerReference
from captioning.options import DEFAULT_CAPTIONER
from demo.zoo.captioner import COMMIT_ID, REPO_ID
from workspace.errors import UsageError


def test_a_repository_a_revision_and_a_folder_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CaptionerReference.parse("org/model") == CaptionerReference("org/model", None, None)
    assert CaptionerReference.parse("org/model@v1.0") == CaptionerReference("org/model", "v1.0", None)
    assert CaptionerReference.parse(str(tmp_path)) == CaptionerReference(None, None, tmp_path)
    (tmp_path / "org/model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert CaptionerReference.parse("org/model") == CaptionerReference(None, None, tmp_path / "org/model")


def test_the_default_is_pinned_and_the_demo_has_it() -> None:
    assert f"{REPO_ID}@{COMMIT_ID}" == DEFAULT_CAPTIONER
    assert CaptionerReference.parse(DEFAULT_CAPTIONER) == CaptionerReference(REPO_ID, COMMIT_ID, None)


@pytest.mark.parametrize(
    "text", ["", "model", "org/model@", "a/b/c", "/no/such/folder", "org/mo del", "../model", "@main"]
)
def test_anything_else_is_refused_with_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="--captioner") as refused:
        CaptionerReference.parse(text)
    assert "\n" not in str(refused.value)
