"""What the sampling process of a failed generator printed, in `logs/stderr/<org>--<name>.txt`.

It is kept until the generator succeeds. What libraries print quotes texts of strangers and can be endless: the file is
printable, and has the beginning and the end of a long output. The process has no token; what looks like one is left out
all the same.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from workspace.atomic import write_bytes
from workspace.layout import Workspace
from workspace.printable import printable

#: Bytes that are kept of the beginning and of the end: a traceback of diffusers has about 10,000.
FIRST, LAST = 32_768, 98_304

#: The token of an account of the Hub.
_TOKEN = re.compile(r"hf_[A-Za-z0-9]{16,}")


def keep_stderr(workspace: Workspace, generator: str, output: Path) -> str | None:
    """Keep what is in the file `output` for a generator; returns the path below the workspace, or None where nothing
    was printed, or the file cannot be kept."""
    target = workspace.stderr_of(generator)
    with suppress(OSError):
        text = printable(_bounded(output).decode("utf-8", "replace"))
        if text.strip():
            write_bytes(target, _TOKEN.sub("hf_...", text).encode())
            return target.relative_to(workspace.root).as_posix()
    return None


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= FIRST + LAST:
            return file.read(FIRST + LAST)
        first = file.read(FIRST)
        file.seek(size - LAST)
        return b"%s\n[... %d bytes ...]\n%s" % (first, size - FIRST - LAST, file.read(LAST))
