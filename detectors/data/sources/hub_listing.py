"""Which files a dataset of the Hub has, at one commit."""

from workspace.errors import HubError, in_one_line
from workspace.hub_access import HubAccess
from workspace.repo_id import checked_repo_id, split_revision


def hub_files(text: str, hub: HubAccess) -> tuple[str, str, list[str]]:
    """The id of the dataset ORG/NAME[@REVISION], the commit that it is at, and the names of its files.

    Raises `UsageError` for another text, `HubError` where the Hub does not give them.
    """
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from workspace.hub_session import session
    from workspace.retry import remedy

    repo_id, revision = split_revision(text)
    checked_repo_id(repo_id, namespace=True)
    session(hub)
    try:
        info = HfApi(hub.endpoint, token=hub.token).dataset_info(repo_id, revision=revision)
    except (HfHubHTTPError, HTTPError, InvalidURL, OfflineModeIsEnabled, ConnectionError) as error:
        hint = remedy(error) or "check its name and revision; a private or gated data set needs HF_TOKEN"
        raise HubError(f"--data {text} cannot be read from the Hub ({in_one_line(error, 200)}): {hint}") from error
    if info.sha is None:
        raise HubError(f"--data {text}: the Hub gives no commit of it; name one, as {repo_id}@COMMIT")
    return repo_id, info.sha, sorted(file.rfilename for file in info.siblings or ())
