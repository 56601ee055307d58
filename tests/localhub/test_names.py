import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from hypothesis import example, given
from hypothesis import strategies as st

from localhub.names import check_path, check_repo_id, check_revision
from localhub.request_errors import BadRequest

PARTS = st.text(alphabet="aZ0-_./é \n\0", max_size=8)


@given(st.builds("{}/{}".format, PARTS, PARTS) | st.text())
@example("a/b")
@example("a/" + "b" * 97)
@example("a" * 97 + "/b")
@example("a--b/c")
@example("a/b.git")
@example("a/b\n")
def test_ids_that_are_accepted_are_those_the_client_accepts_with_a_namespace(repo_id: str) -> None:
    try:
        validate_repo_id(repo_id)
        accepted = "/" in repo_id
    except HFValidationError:
        accepted = False
    if accepted:
        assert check_repo_id(repo_id) == repo_id
    else:
        with pytest.raises(BadRequest):
            check_repo_id(repo_id)


@given(st.text(alphabet="ab./\\\0\n~", max_size=12))
@example("../x")
@example("a/../../x")
@example("/etc/passwd")
@example("a//b")
@example("a/.git/config")
@example("x" * 256)
@example("\ud800")
def test_an_accepted_path_stays_below_the_folder_it_is_written_to(path: str) -> None:
    try:
        check_path(path)
    except BadRequest:
        return
    parts = path.split("/")
    assert not path.startswith("/")
    assert not {"", ".", "..", ".git"} & set(parts)
    assert not set(path) & set("\\\0\n")


@pytest.mark.parametrize("path", ["a", "a/b.txt", "a b/ü.txt", "...", ".gitattributes", "x" * 255])
def test_ordinary_paths_are_accepted(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize("name", ["", "..", "a..b", "-a", "a/", "a//b", "a.lock", "a b", "a/.b", "a\n", "~a"])
def test_revisions_git_would_refuse_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        check_revision(name)


@pytest.mark.parametrize("name", ["main", "v1.0", "refs/pr/1", "refs/convert/parquet", "feature/x"])
def test_ordinary_revisions_are_accepted(name: str) -> None:
    assert check_revision(name) == name
