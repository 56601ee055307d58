"""Copies of real images in the workspace, for `--copy`: the bytes unchanged, named by their sha256.

    workspace/real/<real_source>/ab/abcd....jpg

A prompt then points to the copy, by its path in the workspace, so the workspace can be moved, packed and verified
without the source. Identical bytes are copied once.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from captioning.prompt import Prompt
from workspace.atomic import write_bytes
from workspace.errors import CommunityForensicsError
from workspace.hub_access import HubAccess
from workspace.layout import Workspace
from workspace.locator import process_reader
from workspace.roots import located, read_roots


def copy_images(workspace: Workspace, prompts: Iterable[Prompt], hub: HubAccess = HubAccess()) -> list[Prompt]:
    """Copy the image of each prompt; returns the prompts, which point to the copies.

    Raises `CommunityForensicsError` when an image cannot be read, or its content has changed.
    """
    return [_copy(workspace, prompt, hub) for prompt in prompts]


def _copy(workspace: Workspace, prompt: Prompt, hub: HubAccess) -> Prompt:
    if prompt.real_path is None or prompt.real_id is None or prompt.real_sha256 is None:
        return prompt
    suffix = PurePosixPath(prompt.real_id.replace("#", "/")).suffix.lower()[:8] or f".{str(prompt.real_format).lower()}"
    target = workspace.real_of(prompt.real_source) / prompt.real_sha256[:2] / f"{prompt.real_sha256}{suffix}"
    if not target.exists():
        try:
            path = located(workspace, prompt.real_path, read_roots(workspace))
            content = process_reader(hub).read(path)
        except OSError as error:
            raise CommunityForensicsError(
                f"{error.filename or prompt.real_path} cannot be copied ({error.strerror}): make it available, then "
                "run the same command again"
            ) from error
        if hashlib.sha256(content).hexdigest() != prompt.real_sha256:
            raise CommunityForensicsError(
                f"{path} changed while it was captioned: run the same command again, and do not change the "
                "source meanwhile"
            )
        write_bytes(target, content)
    return replace(prompt, real_path=target.relative_to(workspace.root).as_posix())
