"""A captioner's files: in a folder of the user's, or downloaded from the Hub at a pinned commit.

Of a repository only what one captioner needs is downloaded: configuration, tokenizer and one set of weights,
safetensors if it has them, PyTorch's pickle otherwise (loaded with `weights_only`, which runs no code). Files of a
commit that were downloaded before are found without a request, so compute nodes need no network. The Hub's client
checks sizes only; here the hash of each file is compared with the one that is its name in the cache.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from captioning.captioner import COMMIT, CaptionerReference
from workspace.errors import HubError, UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.identity import sha256_of_file
from workspace.size import text_of

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
    """A captioner that cannot change: `name` is model@revision, as in the row of every caption it generates.

    Exactly one of `repo_id` and `folder` is set.
    """

    name: str
    repo_id: str | None
    revision: str
    folder: Path | None

    def fetch(self, hub: HubAccess = HubAccess()) -> Path:
        """The folder with its files, downloaded unless they are in the cache. Raises `HubError` or `UsageError`."""
        if self.folder is not None:
            return self.folder
        assert self.repo_id is not None
        folder = _download(self.repo_id, self.revision, hub)
        _verify(folder, _needed(path.name for path in folder.iterdir()))
        return folder


def pin(reference: CaptionerReference, hub: HubAccess = HubAccess()) -> PinnedCaptioner:
    """Pin a captioner: a repository to its commit (requested from the Hub unless the reference names it), a folder to
    the hash of its files.

    Raises `UsageError` for a folder without a captioner, `HubError` when the Hub does not give the commit.
    """
    if reference.folder is not None:
        names = _needed(path.name for path in reference.folder.iterdir())
        _require_captioner(names, str(reference.folder))
        content = "\n".join(f"{name} {sha256_of_file(reference.folder / name)}" for name in names)
        revision = f"sha256-{hashlib.sha256(content.encode()).hexdigest()[:40]}"
        return PinnedCaptioner(f"{reference.folder.name}@{revision}", None, revision, reference.folder)
    assert reference.repo_id is not None
    commit = reference.revision
    if commit is None or not COMMIT.fullmatch(commit):
        commit = _resolve_commit(reference.repo_id, commit or "main", hub)
    return PinnedCaptioner(f"{reference.repo_id}@{commit}", reference.repo_id, commit, None)


def weight_files(folder: Path) -> list[Path]:
    """The files with weights in a captioner's folder, without the index of sharded weights."""
    needed = _needed(path.name for path in folder.iterdir())
    return [folder / name for name in needed if name not in CONFIGURATION and not name.endswith(".json")]


def _needed(names: Iterable[str]) -> list[str]:
    """The names, sorted, of those files of a repository that one captioner needs."""
    found = sorted(names)
    weights = [name for name in found if _SAFETENSORS.fullmatch(name)] or [
        name for name in found if _PICKLE.fullmatch(name)
    ]
    return sorted([name for name in found if name in CONFIGURATION] + weights)


def _require_captioner(names: list[str], where: str) -> None:
    has_weights = any(_SAFETENSORS.fullmatch(name) or _PICKLE.fullmatch(name) for name in names)
    # Newer versions of transformers write the preprocessing into the second of the two.
    required = (("config.json",), ("preprocessor_config.json", "processor_config.json"))
    missing = [either[0] for either in required if not set(either) & set(names)]
    if missing or not has_weights:
        lacks = ", ".join(missing + ([] if has_weights else ["model.safetensors or pytorch_model.bin"]))
        raise UsageError(f"--captioner {where} is not an image-to-text model of transformers: it lacks {lacks}")


def _resolve_commit(repo_id: str, revision: str, hub: HubAccess) -> str:
    """The commit that a branch or tag points to now."""
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    from workspace.hub_session import session
    from workspace.retry import retrying

    session(hub)
    try:
        api = HfApi(hub.endpoint, token=hub.token)
        commit = retrying()(api.model_info, repo_id, revision=revision).sha
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
        raise _not_found(repo_id, revision) from error
    except (HTTPError, InvalidURL, OSError) as error:
        raise HubError(
            f"the Hub does not give the commit of {repo_id}@{revision} ({_cause(error)}): try again, or name the commit"
        ) from error
    if commit is None:
        raise HubError(f"the Hub does not give the commit of {repo_id}@{revision}: name the commit")
    return commit


def _download(repo_id: str, revision: str, hub: HubAccess) -> Path:
    """The folder of the Hub's cache with the needed files; those already in the cache are not requested again."""
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import (
        CachedRepoTreeNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    from workspace.hub_session import limited_to, quiet_client, session, without_xet
    from workspace.retry import remedy, retrying

    session(hub)
    request = partial(snapshot_download, repo_id, revision=revision, endpoint=hub.endpoint, token=hub.token)
    fetch, fetch_once = partial(retrying(), request), partial(retrying(lambda: 1), request)

    def names() -> list[str]:
        return [file.path for file in get_cached_repo_tree(repo_id, revision=revision)]

    try:
        try:
            found = names()
        except CachedRepoTreeNotFoundError:
            # The client asks six times by itself for what a repository has, and prints each time.
            with quiet_client():
                folder = Path(fetch_once(allow_patterns=list(CONFIGURATION)))
            try:
                found = names()
            except CachedRepoTreeNotFoundError:  # offline, with a cache that an older client filled
                found = [path.name for path in folder.iterdir()]
        needed = _needed(found)
        _require_captioner(needed, f"{repo_id}@{revision}")
        try:
            return Path(snapshot_download(repo_id, revision=revision, allow_patterns=needed, local_files_only=True))
        except LocalEntryNotFoundError:
            with limited_to(_largest(repo_id, revision, needed)), without_xet():
                return Path(fetch(allow_patterns=needed))
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise _not_found(repo_id, revision) from error
    except (HTTPError, InvalidURL, OSError) as error:
        hint = remedy(error) or "try again"
        raise HubError(
            f"the captioner {repo_id}@{revision} cannot be downloaded ({_cause(error)}): {hint}, or name a folder with "
            "its files"
        ) from error


def _largest(repo_id: str, revision: str, names: Iterable[str]) -> int:
    """Bytes of the largest of these files, as the Hub states them. Raises `HubError` where the disk cannot hold all."""
    from huggingface_hub import constants, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    sizes: dict[str, int] = {}
    with suppress(CachedRepoTreeNotFoundError):  # offline
        sizes = {file.path: file.size for file in get_cached_repo_tree(repo_id, revision=revision)}
    stated = [sizes.get(name) or 0 for name in names]
    cache = Path(constants.HF_HUB_CACHE)
    free = shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free
    if sum(stated) > free:
        raise HubError(
            f"the captioner {repo_id}@{revision} has {text_of(sum(stated))}, and {cache} has room for {text_of(free)}: "
            "make room there, or set HF_HOME to a folder on another disk"
        )
    return max(stated, default=0)


def _not_found(repo_id: str, revision: str) -> UsageError:
    return UsageError(
        f"--captioner: the Hub has no {repo_id} at {revision!r}, or it is private or gated: check the name, or set "
        "HF_TOKEN"
    )


def _verify(folder: Path, names: Iterable[str]) -> None:
    """Compare each file with the hash that is its name in the Hub's cache: sha256, or git's sha1 for small files."""
    from huggingface_hub.utils.sha import git_hash

    for name in names:
        blob = (folder / name).resolve()
        if _SHA256.fullmatch(blob.name):
            found = sha256_of_file(blob)
        elif _GIT_SHA1.fullmatch(blob.name):
            found = git_hash(blob.read_bytes())
        else:  # a cache without links, on some file systems: the hash is not known
            continue
        if found != blob.name:
            raise HubError(
                f"{blob} is damaged: its hash is not the one that the Hub gave. Remove that file and run the same "
                "command again"
            )


def _cause(error: Exception) -> str:
    """The first cause of an error of the Hub's client, which adds general advice of several lines."""
    return in_one_line(error.__cause__ or error, 200)
