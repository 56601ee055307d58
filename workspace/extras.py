"""The extras of the installation: which packages a stage needs that the base does not install.

The base reads, builds, publishes and completes datasets. A stage that runs models, or reads the source of diffusers,
needs an extra (`pyproject.toml`), and says so in one line before it starts.
"""

from importlib import metadata

from packaging.markers import Marker
from packaging.requirements import Requirement

from workspace.errors import UsageError

_DISTRIBUTION = "community-forensics"


def require_extra(extra: str, needed_for: str) -> None:
    """Raise `UsageError` when a package of `extra` is not installed; `needed_for` is the command, such as cf-sample.

    What the extra holds is read from the installed metadata of this distribution, so `pyproject.toml` is the only list.
    Nothing is imported. Without metadata (a source tree that was never installed) nothing is checked.
    """
    missing = sorted(name for name in packages_of(extra) if not _is_installed(name))
    if missing:
        are = "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"{needed_for} needs {', '.join(missing)}, which {are} not installed; "
            f"run: pip install '{_DISTRIBUTION}[{extra}]'"
        )


def packages_of(extra: str) -> set[str]:
    """Names of the packages that an extra installs; empty where this distribution has no metadata."""
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return set()
    packages: set[str] = set()
    for one in map(Requirement, requirements):
        if one.marker is not None and _is_for(one.marker, extra):
            # An extra may consist of others: community-forensics[crawl,sample].
            packages |= {one.name} if one.name != _DISTRIBUTION else set().union(*map(packages_of, one.extras))
    return packages


def _is_for(marker: Marker, extra: str) -> bool:
    return marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
