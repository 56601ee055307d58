"""Where a captioner's files come from: a folder of the user's, or the Hub at a pinned commit.

Of a repository only what one captioner needs is fetched: configuration, tokenizer and one set of weights,
safetensors where there are any, PyTorch's pickle otherwise (loaded with `weights_only`, which runs no code). At a
commit, what was fetched before is found without asking the Hub, so compute nodes need no network. The Hub's client
checks sizes only; here each file is checked against the hash under which the cache keeps it.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from captioning.captioner import COMMIT, CaptionerReference
from workspace.errors import HubError, UsageError
from workspace.identity import sha256_of_file

CONFIGURATION = (
    "added_tokens.json",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
_SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors(\.index\.json)?", re.ASCII)
_PICKLE = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin(\.index\.json)?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_GIT_SHA1 = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True)
class PinnedCaptioner:
    """A captioner that cannot change under its name: `name` is model@revision, as every caption's row says it."""

    name: str
    repository: str | None
    revision: str
    local: Path | None

    def folder(self) -> Path:
        """The folder with its files, fetched when they are not there. Raises `HubError` or `UsageError`."""
        if self.local is not None:
            return self.local
        assert self.repository is not None
        folder = _fetched(self.repository, self.revision)
        _verify(folder, _needed(path.name for path in folder.iterdir()))
        return folder


def pin(reference: CaptionerReference) -> PinnedCaptioner:
    """Pin a captioner: a repository to its commit (the Hub is asked unless one was given), a folder to its content.

    Raises `UsageError` for a folder without a captioner, `HubError` when the Hub does not say the commit.
    """
    if reference.folder is not None:
        names = _needed(path.name for path in reference.folder.iterdir())
        _require_captioner(names, str(reference.folder))
        content = "\n".join(f"{name} {sha256_of_file(reference.folder / name)}" for name in names)
        revision = f"sha256-{hashlib.sha256(content.encode()).hexdigest()[:40]}"
        return PinnedCaptioner(f"{reference.folder.name}@{revision}", None, revision, reference.folder)
    assert reference.repository is not None
    commit = reference.revision
    if commit is None or not COMMIT.fullmatch(commit):
        commit = _commit_of(reference.repository, commit or "main")
    return PinnedCaptioner(f"{reference.repository}@{commit}", reference.repository, commit, None)


def weight_files(folder: Path) -> list[Path]:
    """The files with weights of a captioner's folder, the index of several aside."""
    needed = _needed(path.name for path in folder.iterdir())
    return [folder / name for name in needed if name not in CONFIGURATION and not name.endswith(".json")]


def _needed(names: Iterable[str]) -> list[str]:
    """The names, sorted, of the files that one captioner needs out of all of a repository's."""
    there = sorted(names)
    weights = [name for name in there if _SAFETENSORS.fullmatch(name)] or [
        name for name in there if _PICKLE.fullmatch(name)
    ]
    return sorted([name for name in there if name in CONFIGURATION] + weights)


def _require_captioner(names: list[str], where: str) -> None:
    has_weights = any(_SAFETENSORS.fullmatch(name) or _PICKLE.fullmatch(name) for name in names)
    # Newer versions of transformers write the preprocessing into the second of the two.
    asked = (("config.json",), ("preprocessor_config.json", "processor_config.json"))
    missing = [either[0] for either in asked if not set(either) & set(names)]
    if missing or not has_weights:
        lacks = ", ".join(missing + ([] if has_weights else ["model.safetensors or pytorch_model.bin"]))
        raise UsageError(f"--captioner {where} is no captioner of transformers: it lacks {lacks}")


def _commit_of(repository: str, revision: str) -> str:
    """The commit that a branch or tag stands for now."""
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    from workspace.retry import retrying

    try:
        commit = retrying()(HfApi().model_info, repository, revision=revision).sha
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise UsageError(
            f"--captioner: the Hub has no {repository} at {revision!r}, or does not show it to you"
        ) from error
    except (HTTPError, InvalidURL, OSError) as error:
        raise HubError(
            f"the Hub does not say which commit {repository}@{revision} is ({_said(error)}): "
            "try again, or name the commit"
        ) from error
    if commit is None:
        raise HubError(f"the Hub does not say which commit {repository}@{revision} is: name the commit")
    return commit


def _fetched(repository: str, revision: str) -> Path:
    """The folder of the Hub's cache with the needed files; what the cache has already is not asked for again."""
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import (
        CachedRepoTreeNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    from workspace.retry import retrying

    fetch = partial(retrying(), snapshot_download, repository, revision=revision)

    def names() -> list[str]:
        return [file.path for file in get_cached_repo_tree(repository, revision=revision)]

    try:
        try:
            there = names()
        except CachedRepoTreeNotFoundError:
            folder = Path(fetch(allow_patterns=list(CONFIGURATION)))
            try:
                there = names()
            except CachedRepoTreeNotFoundError:  # offline, with a cache that an older client filled
                there = [path.name for path in folder.iterdir()]
        needed = _needed(there)
        _require_captioner(needed, f"{repository}@{revision}")
        try:
            return Path(snapshot_download(repository, revision=revision, allow_patterns=needed, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(fetch(allow_patterns=needed))
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UsageError(
            f"--captioner: the Hub has no {repository} at {revision}, or does not show it to you"
        ) from error
    except (HTTPError, InvalidURL, OSError) as error:
        raise HubError(
            f"the captioner {repository}@{revision} cannot be fetched ({_said(error)}): try again, or give a folder"
        ) from error


def _verify(folder: Path, names: Iterable[str]) -> None:
    """Compare each file with the hash that the Hub's cache keeps it under: sha256, or git's sha1 for small files."""
    from huggingface_hub.utils.sha import git_hash

    for name in names:
        blob = (folder / name).resolve()
        if _SHA256.fullmatch(blob.name):
            found = sha256_of_file(blob)
        elif _GIT_SHA1.fullmatch(blob.name):
            found = git_hash(blob.read_bytes())
        else:  # a cache without links (some file systems): no hash is kept
            continue
        if found != blob.name:
            raise HubError(f"{blob} is not what the Hub said it sent: remove that file and start again")


def _said(error: Exception) -> str:
    """The cause, in one line: the client wraps it in advice of several."""
    cause = error.__cause__ or error
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[0]}" if lines else type(cause).__name__
