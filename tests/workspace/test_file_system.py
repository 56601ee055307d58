"""Whether a folder is on another machine, by the mounts of the system."""

from pathlib import Path

import psutil
import pytest

from workspace.file_system import is_of_a_network, kind_at, network_file_system

MOUNTS = [
    (Path("/"), "ext4"),
    (Path("/shared"), "nfs4"),
    (Path("/shared/scratch"), "lustre"),
    (Path("/shared/scratch"), "xfs"),
    (Path("/home"), "autofs"),
    (Path("/home"), "nfs"),
    (Path("/shared-too"), "fuse.sshfs"),
]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/data/run", "ext4"),
        ("/shared", "nfs4"),
        ("/shared/run", "nfs4"),
        ("/shared/scratch/run", "xfs"),
        ("/home/me", "nfs"),
        ("/shared-too/run", "fuse.sshfs"),
        ("/sharedness", "ext4"),
    ],
)
def test_the_deepest_mount_counts_and_of_equal_ones_the_last(folder: str, kind: str) -> None:
    assert kind_at(Path(folder), MOUNTS) == kind


def test_where_nothing_is_mounted_nothing_is_known() -> None:
    assert kind_at(Path("/data"), []) is None


# fmt: off
OTHERS = (
    "nfs", "nfs4", "NFS", "lustre", "gpfs", "beegfs", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "9p", "afs",
    "fuse", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.beegfs",
)
# fmt: on


@pytest.mark.parametrize("kind", OTHERS)
def test_file_systems_of_other_machines(kind: str) -> None:
    assert is_of_a_network(kind)


@pytest.mark.parametrize(
    "kind",
    ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "fuseblk", "fuse.mergerfs", "autofs", "squashfs"],
)
def test_disks_of_this_machine(kind: str) -> None:
    assert not is_of_a_network(kind)


def test_a_folder_of_this_machine_is_asked_by_its_path_without_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/shm")
    kinds = {one.mountpoint: one.fstype for one in psutil.disk_partitions(all=True)}
    if kinds.get("/dev/shm") != "tmpfs":
        pytest.skip("this machine has no /dev/shm")
    assert network_file_system(tmp_path / "link") is None
    assert kind_at((tmp_path / "link").resolve(), ((Path(path), kind) for path, kind in kinds.items())) == "tmpfs"
