"""How long ago files of a workspace changed, whatever the clocks say.

A shared file system stamps files by a clock that may differ from that of this machine, and neither is that of the node
that wrote. What counts here is what can be known without a common clock:

- A time in the future shows that the other clock is ahead by at least as much.
- A file that changed between two looks changed after the first one, whatever its time says.

Only where a clock of this machine is ahead, and files are seen for the first time, they seem older than they are.
"""

from pathlib import Path


class FileAges:
    """Remembers the files that it was asked for."""

    def __init__(self) -> None:
        self._ahead = 0.0
        # By file: its time; when it changed, by the clock that stamps files; when it was looked at, by this machine's.
        self._known: dict[Path, tuple[float, float, float]] = {}

    @property
    def ahead(self) -> float:
        """Seconds by which the clock that stamps files is ahead of this machine's, as far as files show."""
        return self._ahead

    def note(self, path: Path, now: float) -> None:
        """Look at a file or folder at `now` (seconds since 1970). Raises `OSError` where it does not exist."""
        stamp = path.stat().st_mtime
        self._ahead = max(self._ahead, stamp - now)
        former = self._known.get(path)
        if former is None:
            self._known[path] = (stamp, stamp, now)
        elif former[0] != stamp:
            self._known[path] = (stamp, max(stamp, former[2] + self._ahead), now)
        else:
            self._known[path] = (*former[:2], now)

    def age(self, path: Path, now: float) -> float:
        """Seconds since a file that was noted has changed."""
        return max(0.0, now + self._ahead - self._known[path][1])
