"""A check that failed, and how failures are told."""

from dataclasses import dataclass

from workspace.errors import CommunityForensicsError

#: Rows named in the message of a check that failed.
NAMED_ROWS = 5


@dataclass(frozen=True)
class Failure:
    """One check that failed."""

    what: str
    rows: int
    named: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.rows - len(self.named)} more" if self.rows > len(self.named) else ""
        return f"{self.rows} {self.what}: {', '.join(self.named)}{more}"


def refuse(failures: list[Failure]) -> None:
    """Raise `CommunityForensicsError` that tells every failure; nothing when there is none."""
    if failures:
        told = "".join(f"\n  - {failure}" for failure in failures)
        raise CommunityForensicsError(f"no manifest was written, for the workspace does not add up:{told}")
