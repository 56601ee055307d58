"""What of this machine's files the process that samples needs: everything else is walled off (`landlock`).

It reads Python and its packages, shared libraries, what the kernel says of the machine, and the weights. It writes
images and rows, into its own empty home, and to graphics devices. None of the places to read may hold the user's home,
where tokens and keys lie: a checkout or an environment inside it is named by itself.
"""

import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

#: Libraries, their data and what they ask of the system. Not all of /etc, /dev or /run: secrets lie there too.
_SYSTEM = (
    *(
        "/usr",
        "/lib",
        "/lib32",
        "/lib64",
        "/proc",
        "/sys",
        "/opt/rocm",
        "/run/opengl-driver",
        "/nix/store",
        "/gnu/store",
    ),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/hosts", "/etc/mime.types"),
    *("/etc/nvidia", "/etc/OpenCL", "/etc/vulkan", "/etc/fonts", "/etc/ssl/openssl.cnf"),
    *("/dev/random", "/dev/urandom", "/dev/zero", "/dev/full"),
)
#: Where output may go, and graphics devices: NVIDIA's, those of the kernel's own drivers, AMD's, Windows'.
_DEVICES = ("null", "nvidia*", "dri", "kfd", "dxg")


def readable(weights: Iterable[Path]) -> list[Path]:
    """What the process may read: Python, libraries, the system's facts, and the folders `weights`."""
    homes = _homes()
    libraries = [*map(Path, _SYSTEM), *_python(), *_library_path(), *_mapped()]
    return [*(path for path in libraries if not any(home.is_relative_to(path) for home in homes)), *weights]


def writable(folders: Iterable[Path]) -> list[Path]:
    """What the process may also write: the `folders` and graphics devices."""
    return [*folders, *(device for name in _DEVICES for device in Path("/dev").glob(name))]


def _homes() -> set[Path]:
    """The user's home, by the environment and by the system's word."""
    homes = {Path(os.environ["HOME"])} if os.environ.get("HOME") else set()
    # In a container a user may have a number only.
    with suppress(KeyError):
        homes.add(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return {home.resolve() for home in homes if home.is_absolute() and home != Path("/")}


def _python() -> Iterator[Path]:
    """Where modules come from: Python's path, and the folders of the packages imported so far, for the case that the
    path holds a folder too large to be opened, such as the home that a checkout lies in."""
    for entry in (sys.prefix, sys.base_prefix, *sys.path):
        if entry:
            yield Path(entry).resolve()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and "." not in name:
            path = Path(file).resolve()
            yield path.parent if path.name == "__init__.py" else path


def _library_path() -> Iterator[Path]:
    for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if entry:
            yield Path(entry).resolve()


def _mapped() -> set[Path]:
    """The folders of the libraries in use: those loaded later often lie beside them."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    fields = [line.split(maxsplit=5) for line in lines]
    return {
        Path(field[5]).parent for field in fields if len(field) == 6 and field[5].startswith("/") and "x" in field[1]
    }
