"""The files of this machine that the sampling process needs: all others are refused (`landlock`).

It reads Python and its packages, shared libraries, the kernel's information about the machine, and the weights. It
writes images and rows, its own empty home, and graphics devices. No path to read may contain the user's home, where
tokens and keys are: a checkout or an environment inside it is listed itself.
"""

import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

#: Libraries, their data and system files that they read. Not all of /etc, /dev or /run: these have secrets too.
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
#: The null device, and graphics devices: NVIDIA's, those of the kernel's own drivers, AMD's, Windows'.
_DEVICES = ("null", "nvidia*", "dri", "kfd", "dxg")


def readable(weights: Iterable[Path]) -> list[Path]:
    """Paths that the process may read: Python, libraries, system files, and the folders `weights`."""
    homes = _homes()
    libraries = [*map(Path, _SYSTEM), *_python(), *_library_path(), *_mapped()]
    return [*(path for path in libraries if not any(home.is_relative_to(path) for home in homes)), *weights]


def writable(folders: Iterable[Path]) -> list[Path]:
    """Paths that the process may also write: the `folders` and graphics devices."""
    return [*folders, *(device for name in _DEVICES for device in Path("/dev").glob(name))]


def _homes() -> set[Path]:
    """The user's home, from the environment and from the system's list of users."""
    homes = {Path(os.environ["HOME"])} if os.environ.get("HOME") else set()
    # In a container a user may have no name.
    with suppress(KeyError):
        homes.add(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return {home.resolve() for home in homes if home.is_absolute() and home != Path("/")}


def _python() -> Iterator[Path]:
    """Where modules come from: Python's path, and the folders of the packages imported so far, for the case that an
    entry of the path is refused, such as the home that contains a checkout."""
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
    """The folders of the libraries in use: libraries loaded later are often beside them."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    fields = [line.split(maxsplit=5) for line in lines]
    return {
        Path(field[5]).parent for field in fields if len(field) == 6 and field[5].startswith("/") and "x" in field[1]
    }
