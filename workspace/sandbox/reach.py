"""The files of this machine that the sampling process needs: all others are refused (`landlock`).

It reads Python and its packages, shared libraries, the kernel's information about the machine and itself, and the
weights. It uses graphics devices. What it writes is the caller's choice. No path to read may contain the user's home,
where tokens and keys are: a checkout or an environment inside it is listed itself.
"""

import functools
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
        "/opt/rocm",
        "/run/opengl-driver",
        "/nix/store",
        "/gnu/store",
    ),
    # Of other processes not even the command line, which may have a password in it.
    *(f"/proc/{name}" for name in ("self", "cpuinfo", "meminfo", "stat", "vmstat", "version", "uptime", "loadavg")),
    *(f"/proc/{name}" for name in ("devices", "driver", "filesystems", "modules", "cgroups", "sys/kernel", "sys/vm")),
    *(f"/sys/{name}" for name in ("block", "bus", "class", "dev", "devices", "fs/cgroup", "kernel/mm", "module")),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/hosts", "/etc/mime.types"),
    *("/etc/nvidia", "/etc/OpenCL", "/etc/vulkan", "/etc/fonts", "/etc/ssl/openssl.cnf"),
    *("/dev/random", "/dev/urandom", "/dev/zero", "/dev/full"),
)
_NULL = Path("/dev/null")
#: Names of folders that have nothing but installed packages, and the endings of modules elsewhere.
_PACKAGES, _MODULES = ("site-packages", "dist-packages"), (".py", ".so")
#: Graphics devices: NVIDIA's, those of the kernel's own drivers, AMD's, Windows'.
_GRAPHICS = ("nvidia*", "dri", "kfd", "dxg")


def readable(weights: Iterable[Path]) -> list[Path]:
    """Paths that the process may read: Python, libraries, system files, and the folders `weights`."""
    libraries = [*map(Path, _SYSTEM), *_python(), *imported(), *_library_path(), *_mapped()]
    return [*_outside_homes(libraries), *weights]


@functools.cache
def imported() -> list[Path]:
    """The packages imported before the first call: an entry of the path may be refused, such as the home that contains
    a checkout.

    A server that forks calls it beforehand: in each of its processes a look at every module would copy twenty megabytes
    of the memory that they share.
    """
    installed = tuple(f"{place}/" for place in _installed())
    files = [getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if "." not in name]
    found = [Path(file).resolve() for file in files if file and not file.startswith(installed)]
    return [path.parent if path.name == "__init__.py" else path for path in found]


def listed() -> list[Path]:
    """Folders whose names of files it may read, and no more: there Python looks for modules."""
    installed = _installed()
    return _outside_homes(entry for entry in _path() if not _has_only_packages(entry, installed))


def graphics_devices() -> list[Path]:
    """The graphics devices of this machine."""
    return [device for name in _GRAPHICS for device in Path("/dev").glob(name)]


def devices() -> list[Path]:
    """The devices that the process may use: the null device and graphics devices."""
    return [_NULL, *graphics_devices()]


def _outside_homes(paths: Iterable[Path]) -> list[Path]:
    homes = _homes()
    return [path for path in dict.fromkeys(paths) if not any(home.is_relative_to(path) for home in homes)]


def _homes() -> set[Path]:
    """The user's home, from the environment and from the system's list of users."""
    homes = {Path(os.environ["HOME"])} if os.environ.get("HOME") else set()
    # In a container a user may have no name.
    with suppress(KeyError):
        homes.add(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return {home.resolve() for home in homes if home.is_absolute() and home != Path("/")}


def _python() -> Iterator[Path]:
    """Where modules come from: Python and its packages, and the modules beside scripts."""
    installed = _installed()
    yield from installed
    for entry in _path():
        if _has_only_packages(entry, installed):
            yield entry
        else:
            # A checkout, or the folder of a user's script: there are his data too.
            yield from (package.parent for package in entry.glob("*/__init__.py"))
            yield from (module for ending in _MODULES for module in entry.glob(f"*{ending}"))


def _installed() -> list[Path]:
    """Python's own folders, which are readable as a whole."""
    return _outside_homes([Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()])


def _path() -> list[Path]:
    """Python's path."""
    return [Path(entry).resolve() for entry in sys.path if entry]


def _has_only_packages(entry: Path, installed: Iterable[Path]) -> bool:
    return entry.name in _PACKAGES or entry.suffix == ".zip" or any(entry.is_relative_to(place) for place in installed)


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
