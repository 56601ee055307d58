"""Which kind of file system a folder is on, as far as it matters: whether every call goes over a network."""

from collections.abc import Iterable
from pathlib import Path

import psutil

#: Names that systems give file systems of other machines; those in user space are named `fuse`, or `fuse.` and a name.
# fmt: off
_OF_A_NETWORK = frozenset((
    "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "daos", "gfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "mmfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb2", "smb3", "smbfs",
    "virtiofs", "wekafs", "webdav",
))
# fmt: on
#: Those in user space whose files are on a disk of this machine.
_LOCAL_IN_USER_SPACE = frozenset({"fuse.ntfs-3g", "fuse.mergerfs", "fuse.fuse-overlayfs", "fuse.zfs-fuse"})


def network_file_system(folder: Path) -> str | None:
    """The name of the network file system that a folder is on, such as nfs4; None: it is on a disk of this machine, or
    the system does not say."""
    mounts = ((Path(one.mountpoint), one.fstype) for one in psutil.disk_partitions(all=True))
    kind = kind_at(folder.resolve(), mounts)
    return kind if kind is not None and is_of_a_network(kind) else None


def kind_at(folder: Path, mounts: Iterable[tuple[Path, str]]) -> str | None:
    """The kind of the file system of a folder, by its path without links, among these mount points, the later over the
    earlier; None: none of them."""
    found: tuple[int, str] | None = None
    for point, kind in mounts:
        depth = len(point.parts)
        if folder.is_relative_to(point) and (found is None or depth >= found[0]):
            found = depth, kind
    return found[1] if found is not None else None


def is_of_a_network(kind: str) -> bool:
    """Whether files on this kind of file system are on another machine."""
    kind = kind.lower()
    in_user_space = kind == "fuse" or kind.startswith("fuse.")
    return kind in _OF_A_NETWORK or (in_user_space and kind not in _LOCAL_IN_USER_SPACE)
