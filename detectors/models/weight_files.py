"""Where weights come from: a file or a folder on this machine, or a repository of the Hub, pinned.

Of a repository the configuration and one file of safetensors are downloaded, by the commit; what was downloaded before
is found without a request, so compute nodes need no network.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from workspace.errors import HubError, UsageError, in_one_line
from workspace.hub_access import HubAccess
from workspace.identity import sha256_of_file
from workspace.repo_id import is_repo_id, split_revision

#: What a backbone of transformers needs; of several files of weights the index too.
_PATTERNS = ("config.json", "preprocessor_config.json", "model*.safetensors", "model.safetensors.index.json")
_WEIGHTS = "model.safetensors"
_COMMIT = re.compile(r"[0-9a-f]{40}", re.ASCII)
_DIGITS = 16


@dataclass(frozen=True)
class Located:
    """Weights on this machine: a file, or a folder with `model.safetensors`. `name` says what they are, wherever they
    lie: ORG/NAME@commit, or the last part of the path with the first digits of the file's sha256."""

    name: str
    path: Path

    @property
    def file(self) -> Path:
        """The file with the weights. Raises `UsageError` where a folder has not one."""
        if self.path.is_file():
            return self.path
        if not (self.path / _WEIGHTS).is_file():
            raise UsageError(f"{self.path} has no {_WEIGHTS}: name the file, or save the weights as one")
        return self.path / _WEIGHTS


def located(text: str, hub: HubAccess = HubAccess(), *, setting: str = "start") -> Located:
    """The weights that a setting names. Raises `UsageError` where there are none, `HubError` when the Hub does not
    give them."""
    path = Path(text).expanduser()
    if path.exists():
        found = Located(path.name, path.resolve())
        return Located(f"{path.name}@sha256-{sha256_of_file(found.file)[:_DIGITS]}", found.path)
    if text.startswith((".", "/", "~")) or "/" not in text or not is_repo_id(text.partition("@")[0]):
        raise UsageError(f"{setting}={text}: there is no such file or folder, and it is no ORG/NAME of the Hub")
    return _of_hub(text, hub, setting)


def _of_hub(text: str, hub: HubAccess, setting: str) -> Located:
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    from workspace.hub_session import quiet_client, session, without_xet
    from workspace.retry import remedy

    repo_id, revision = split_revision(text)
    session(hub)
    try:
        if revision is not None and _COMMIT.fullmatch(revision):
            try:
                folder = snapshot_download(
                    repo_id, revision=revision, allow_patterns=list(_PATTERNS), local_files_only=True
                )
                return Located(f"{repo_id}@{revision}", Path(folder))
            except LocalEntryNotFoundError:
                pass
        with quiet_client(), without_xet():
            folder = snapshot_download(
                repo_id, revision=revision, allow_patterns=list(_PATTERNS), endpoint=hub.endpoint, token=hub.token
            )
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UsageError(
            f"{setting}={text}: the Hub has no such repository or revision, or it is private or gated: check the name, "
            "or set HF_TOKEN"
        ) from error
    except (HTTPError, InvalidURL, OSError) as error:
        cause = in_one_line(error.__cause__ or error, 200)
        raise HubError(
            f"{setting}={text} cannot be downloaded ({cause}): {remedy(error) or 'try again'}, or name a file or "
            f"folder with --set {setting}=PATH"
        ) from error
    return Located(f"{repo_id}@{Path(folder).name}", Path(folder))
