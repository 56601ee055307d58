"""Which files of a data set of the Hub belong to a configuration and its splits, as `datasets` finds them.

`datasets` takes the Hub's address from the environment when it is imported. So it is run in a process of its own, whose
environment has the requested endpoint and token. The answer is one line of JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from workspace.errors import CommunityForensicsError, HubError, UsageError, in_one_line
from workspace.hub_access import HubAccess


@cache  # a commit does not change, and several sources may be splits of one data set
def files_by_split(repo_id: str, commit: str, config: str | None, hub: HubAccess) -> dict[str, list[str]]:
    """The URLs (hf://datasets/ORG/NAME@COMMIT/FILE) of a configuration's files, by split; None: the default one.

    Raises `UsageError` when there is no such configuration, or several and none is the default; `HubError` when the Hub
    does not answer.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        # It would import them, which takes longer than all else, and lists files only.
        **dict.fromkeys(("USE_TORCH", "USE_TF", "USE_JAX"), "0"),
    }
    if hub.endpoint is not None:
        environment["HF_ENDPOINT"] = hub.endpoint
    if hub.token is not None:  # not as an argument, which everybody on the machine can read
        environment["HF_TOKEN"] = hub.token
    ended = _ask([repo_id, commit, *([] if config is None else [config])], environment)
    if ended.returncode != 0:
        raise CommunityForensicsError(
            f"the files of the data set {repo_id} cannot be listed: the process that lists them ended with exit code "
            f"{ended.returncode}"
        )
    found: dict[str, Any] = json.loads(ended.stdout)
    if "usage" in found:
        raise UsageError(f"{repo_id}: {found['usage']}")
    if "hub" in found:
        raise HubError(f"the data set {repo_id} cannot be read from the Hub ({found['hub']}): try again")
    files: dict[str, list[str]] = found["files"]
    return files


def _ask(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run the process to its end."""
    command = [sys.executable, "-P", "-m", "captioning.sources.hub_files", *arguments]
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)


def answer(repo_id: str, commit: str, config: str | None) -> dict[str, Any]:
    """What the process answers: the files by split, or why there are none ("usage": for the user, "hub": no answer)."""
    from datasets import config as library
    from datasets import load_dataset_builder
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from workspace.hub_session import session

    session()
    # The files are listed from the repository itself: the token goes to no other host, such as that of the viewer.
    library.USE_PARQUET_EXPORT = False
    # Nor is the name of the data set reported to a counter outside the Hub.
    library.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        builder = load_dataset_builder(repo_id, config, revision=commit)
    except (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, DatasetNotFoundError, ConnectionError) as error:
        return {"hub": in_one_line(error, 200)}
    except EmptyDatasetError:
        return {"usage": "it has no data files"}
    except (DataFilesNotFoundError, ValueError) as error:  # no such configuration, or several and no default
        return {"usage": in_one_line(error, named=False)}
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
        copy = f"hf://{repo_id}@refs/convert/parquet"
        return {"usage": f"it has a loading script, which is not run: name the Hub's Parquet copy of it, {copy}"}
    # The library reads what a stranger wrote into the card, and fails with any kind of error.
    except Exception as error:
        cause = in_one_line(error, 200)
        return {"usage": f"`datasets` cannot read its card or its files ({cause}): download it, and name the folder"}
    splits = builder.config.data_files or {}
    return {"files": {str(split): [str(url) for url in urls] for split, urls in splits.items()}}


def _main() -> None:
    repo_id, commit, *config = sys.argv[1:]
    # Text that libraries print must not be mixed with the answer.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        json.dump(answer(repo_id, commit, config[0] if config else None), output)
        output.close()
    except KeyboardInterrupt:  # which the process that waits for the answer received as well
        sys.exit(1)


if __name__ == "__main__":
    _main()
