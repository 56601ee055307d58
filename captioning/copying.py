"""Copies of real images in the workspace, for `--copy`: the bytes as they are, under the name of their sha256.

    workspace/real/<real_source>/ab/abcd....jpg

A prompt then points at the copy, by its path below the workspace, so the workspace can be moved, packed and verified
without the source. The same bytes are there once.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from captioning.prompt import Prompt
from workspace.atomic import write_bytes
from workspace.errors import CommunityForensicsError
from workspace.layout import Workspace
from workspace.locator import process_reader


def copy_images(workspace: Workspace, prompts: Iterable[Prompt]) -> list[Prompt]:
    """Copy the image of each prompt; returns the prompts as they point at the copies.

    Raises `CommunityForensicsError` when an image cannot be read again or is another one by now.
    """
    return [_copied(workspace, prompt) for prompt in prompts]


def _copied(workspace: Workspace, prompt: Prompt) -> Prompt:
    suffix = PurePosixPath(prompt.real_id.replace("#", "/")).suffix.lower()[:8] or f".{prompt.real_format.lower()}"
    target = workspace.real_of(prompt.real_source) / prompt.real_sha256[:2] / f"{prompt.real_sha256}{suffix}"
    if not target.exists():
        try:
            content = process_reader().read(prompt.real_path)
        except OSError as error:
            raise CommunityForensicsError(f"{prompt.real_path} cannot be copied: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != prompt.real_sha256:
            raise CommunityForensicsError(
                f"{prompt.real_path} changed while it was captioned: leave the source alone, then run the same again"
            )
        write_bytes(target, content)
    return replace(prompt, real_path=target.relative_to(workspace.root).as_posix())
