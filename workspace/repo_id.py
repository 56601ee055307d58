"""Ids of repositories on the Hub: `ORG/NAME`, and `ORG/NAME@REVISION` for a pinned one."""

from workspace.errors import UsageError


def checked_repo_id(repo_id: str, *, namespace: bool = False) -> str:
    """`repo_id` if it is valid by the rule of huggingface_hub; raises `UsageError` otherwise.

    Early models have no organization (`gpt2`): such ids are accepted unless `namespace` is set.
    """
    # Imported here: a command that sends no request should not wait for the client's import.
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        valid = False
    else:
        valid = "/" in repo_id or not namespace
    if not valid:
        raise UsageError(f"{repo_id!r} is not a repository id of the Hub (ORG/NAME)")
    return repo_id


def is_repo_id(text: str) -> bool:
    """Whether `text` is a valid repository id, with or without an organization."""
    try:
        checked_repo_id(text)
    except UsageError:
        return False
    return True


def split_revision(text: str) -> tuple[str, str | None]:
    """`ORG/NAME[@REVISION]` as name and revision (None: the newest); raises `UsageError` for anything else."""
    name, at, revision = text.partition("@")
    if at and not revision:
        raise UsageError(f"{text!r} has no revision after the @")
    return checked_repo_id(name), revision or None
