"""What code in the sandbox could try: each action does one thing, or raises the error that it was refused with.

An action that gets past the walls, and is then refused by the kernel because the probe's arguments make no sense,
counts as allowed: only the errors of `REFUSALS` are refusals.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workspace.sandbox.call_numbers import NEWEST, call_numbers

#: More than the limit that the test sets.
MANY_THREADS = 200
REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV})


@dataclass(frozen=True)
class Surroundings:
    """What is around the process that is probed."""

    user: Path
    """A folder of the user: `file`, which may be written, and `token`."""
    output: Path
    """The folder that it may write; with `image`."""
    weights: Path
    """A folder that it may read; with `config.json`."""
    victim: int
    """Another process of the user."""
    fork_server: str
    """The address that the fork server listens on."""
    port: int
    """One that this machine listens on."""
    kept: int
    """The descriptor of its connection."""


Action = Callable[[Surroundings], object]
#: By what it does.
ACTIONS: dict[str, Action] = {}


def attempt(surroundings: Surroundings) -> dict[str, str]:
    """What each action came to: `allowed`, or the name of the error that it was refused with."""
    return {what: _outcome(action, surroundings) for what, action in ACTIONS.items()}


def _outcome(action: Action, surroundings: Surroundings) -> str:
    try:
        action(surroundings)
    except OSError as error:
        if error.errno in REFUSALS:
            return errno.errorcode[error.errno]
    return "allowed"


def _does(what: str) -> Callable[[Action], Action]:
    def add(action: Action) -> Action:
        assert what not in ACTIONS
        ACTIONS[what] = action
        return action

    return add


_LIBRARY = ctypes.CDLL(None, use_errno=True)
_NUMBERS = call_numbers(platform.machine()) or {}


def _call(name: str | int, *arguments: Any) -> int:
    """A system call past Python and the C library. Raises `OSError`."""
    # What a machine does not have is not there to be tried.
    number = _NUMBERS.get(name, 100_000) if isinstance(name, str) else name
    filled = [*arguments, *[0] * (6 - len(arguments))]
    result: int = _LIBRARY.syscall(
        ctypes.c_long(number),
        *(argument if isinstance(argument, bytes) else ctypes.c_long(argument) for argument in filled),
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), str(name))
    return result


def _calls(what: str, name: str, *arguments: Any) -> None:
    ACTIONS[what] = lambda _: _call(name, *arguments)


# Files.

ACTIONS |= {
    "read the user's token": lambda it: (it.user / "token").read_bytes(),
    "overwrite a file of the user": lambda it: (it.user / "file").write_bytes(b"x"),
    "append to a file of the user": lambda it: (it.user / "file").open("ab"),
    "truncate a file of the user": lambda it: os.truncate(it.user / "file", 1),
    "list the user's folder": lambda it: list(it.user.iterdir()),
    "make a file in the user's folder": lambda it: (it.user / "made").touch(),
    "make a folder in the user's folder": lambda it: (it.user / "made-folder").mkdir(),
    "make a link in the user's folder": lambda it: (it.user / "made-link").symlink_to("file"),
    "rename a file of the user": lambda it: (it.user / "file").rename(it.user / "renamed"),
    "link a file of the user into the output": lambda it: os.link(it.user / "file", it.output / "linked"),
    "move a file of the user to the output": lambda it: (it.user / "file").rename(it.output / "moved"),
    "move an image to the user's folder": lambda it: (it.output / "image").rename(it.user / "moved"),
    "remove a file of the user": lambda it: (it.user / "spare").unlink(),
    "chmod a file of the user": lambda it: (it.user / "file").chmod(0o666),
    "fchmod an image": lambda it: os.fchmod(os.open(it.output / "image", os.O_RDWR), 0o666),
    "fchmodat2 a file of the user": lambda it: _call("fchmodat2", -100, bytes(it.user / "file"), 0o666, 0),
    "chown a file of the user": lambda it: os.chown(it.user / "file", os.getuid(), os.getgid()),
    "lchown a file of the user": lambda it: os.lchown(it.user / "file", os.getuid(), os.getgid()),
    "fchownat a file of the user": lambda it: _call(
        "fchownat", -100, bytes(it.user / "file"), os.getuid(), os.getgid(), 0
    ),
    "set the times of a file of the user": lambda it: os.utime(it.user / "file", (1, 1)),
    "touch a file of the user past the C library": lambda it: _call("utimensat", -100, bytes(it.user / "file"), 0, 0),
    "set an attribute of a file of the user": lambda it: os.setxattr(it.user / "file", "user.x", b"1"),
    "read an attribute of a file of the user": lambda it: os.getxattr(it.user / "file", "user.there"),
    "remove an attribute of a file of the user": lambda it: os.removexattr(it.user / "file", "user.there"),
    "list attributes of a file of the user": lambda it: os.listxattr(it.user / "file"),
    "watch the user's folder": lambda it: _call("inotify_add_watch", _call("inotify_init1"), bytes(it.user), 0xFFF),
    "get a file of the user by number": lambda it: _call("name_to_handle_at", -100, bytes(it.user / "file"), 0, 0, 0),
    "change a weight": lambda it: (it.weights / "config.json").write_bytes(b"x"),
    "remove a weight": lambda it: (it.weights / "config.json").unlink(),
    "make a file in the weights": lambda it: (it.weights / "made").touch(),
    "freeze a weight": lambda it: fcntl.ioctl((it.weights / "config.json").open(), 0x40806685, bytes(128)),
    "set flags of a weight": lambda it: fcntl.ioctl((it.weights / "config.json").open(), 0x40086602, bytes(8)),
    "lease a weight": lambda it: fcntl.fcntl((it.weights / "config.json").open(), 1024, fcntl.F_RDLCK),
    "make a pipe with a name": lambda it: os.mkfifo(it.output / "pipe"),
    "make a link in the output": lambda it: (it.output / "link").symlink_to(it.user / "token"),
    "make shared memory with a name": lambda _: Path("/dev/shm/cf-probe").write_bytes(b"x"),
    "write to the temporary folder": lambda it: Path(f"/tmp/cf-probe-{it.victim}").write_bytes(b"x"),
    "open the terminal": lambda _: os.open("/dev/tty", os.O_RDWR),
    "open the kernel's log": lambda _: os.open("/dev/kmsg", os.O_RDONLY),
    "open the machine's list of passwords": lambda _: Path("/etc/shadow").read_bytes(),
    "change a setting of the kernel": lambda _: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY),
    "ask the size of a file of the user": lambda it: (it.user / "file").stat(),
    "read the list of users": lambda _: Path("/etc/passwd").read_bytes(),
    "read Python and its packages": lambda _: Path(os.__file__).read_bytes(),
    "read the weights": lambda it: (it.weights / "config.json").read_bytes(),
    "write the output": lambda it: (it.output / "new").write_bytes(b"x"),
    "rename within the output": lambda it: (it.output / "new").rename(it.output / "renamed"),
    "remove from the output": lambda it: (it.output / "renamed").unlink(),
    "write the child's own home": lambda _: (Path.home() / "x").write_bytes(b"x"),
    "read about the machine": lambda _: Path("/proc/cpuinfo").read_bytes(),
    "read about itself": lambda _: Path("/proc/self/maps").read_bytes(),
}

# Other processes.

_IOPRIO_WHO_PROCESS, _PRIO_USER = 1, 2
ACTIONS |= {
    "see which processes run": lambda _: list(Path("/proc").iterdir()),
    "read the command line of another process": lambda it: Path(f"/proc/{it.victim}/cmdline").read_bytes(),
    "read the environment of another process": lambda it: Path(f"/proc/{it.victim}/environ").read_bytes(),
    "read the memory of another process": lambda it: os.open(f"/proc/{it.victim}/mem", os.O_RDONLY),
    "copy the memory of another process": lambda it: _call("process_vm_readv", it.victim, 0, 0, 0, 0, 0),
    "trace another process": lambda it: _call("ptrace", 0x4206, it.victim, 0, 0),
    "signal another process": lambda it: os.kill(it.victim, 0),
    "signal all processes": lambda _: os.kill(-1, 0),
    "signal a thread of another process": lambda it: _call("tgkill", it.victim, it.victim, 0),
    "signal any thread": lambda it: _call("tkill", it.victim, 0),
    "queue a signal for another process": lambda it: _call("rt_sigqueueinfo", it.victim, 0, bytes(128)),
    "have another process signalled by a file": lambda it: fcntl.fcntl(it.kept, fcntl.F_SETOWN, it.victim),
    "get a handle of another process": lambda it: _call("pidfd_open", it.victim, 0),
    "take a descriptor of another process": lambda _: _call("pidfd_getfd", -1, 0, 0),
    "compare itself with another process": lambda it: _call("kcmp", os.getpid(), it.victim, 1, 0, 0),
    "limit another process": lambda it: resource.prlimit(it.victim, resource.RLIMIT_NOFILE, (64, 64)),
    "ask the limits of another process": lambda it: resource.prlimit(it.victim, resource.RLIMIT_NOFILE),
    "slow down another process": lambda it: os.setpriority(os.PRIO_PROCESS, it.victim, 19),
    "slow down all processes of the user": lambda _: os.setpriority(_PRIO_USER, 0, 19),
    "slow down the files of another process": lambda it: _call("ioprio_set", _IOPRIO_WHO_PROCESS, it.victim, 3 << 13),
    "bind another process to a core": lambda it: os.sched_setaffinity(it.victim, {min(os.sched_getaffinity(0))}),
    "schedule another process": lambda it: os.sched_setscheduler(
        it.victim, getattr(os, "SCHED_BATCH", 3), os.sched_param(0)
    ),
    "move the memory of another process": lambda it: _call("move_pages", it.victim, 0, 0, 0, 0, 0),
    "start a program": lambda _: os.posix_spawn("/bin/true", ["true"], {}),
    "run another program": lambda _: _call("execve", b"/nothing", 0, 0),
    "count what another process does": lambda it: _call("perf_event_open", bytes(128), it.victim, -1, -1, 0),
    "signal itself": lambda _: os.kill(os.getpid(), 0),
    "start a thread": lambda _: threading.Thread(target=int).start(),
    "choose its own cores": lambda _: os.sched_setaffinity(0, os.sched_getaffinity(0)),
}


@_does("become two processes")
def _fork(_: Surroundings) -> None:
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)


@_does("become two processes past the C library")
def _clone3(_: Surroundings) -> None:
    # struct clone_args: only the signal at its end.
    process = _call("clone3", struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0), 88)
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)


# Its own walls and limits.

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_calls("outlive its parent", "prctl", _PR_SET_PDEATHSIG, 0, 0, 0, 0)
_calls("let others see its memory", "prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)
_calls("collect the children of others", "prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
_calls("execute what it may only read", "personality", 0x0400000)
ACTIONS |= {
    "leave its session": lambda _: os.setsid(),
    "change its groups": lambda _: os.setgroups([0]),
    "call as a machine of another kind": lambda _: _call(0x40000000 + 39),
    "make a call that is newer than the list": lambda _: _call(NEWEST + 1),
    "protect itself from the system's shortage of memory": lambda _: Path("/proc/self/oom_score_adj").write_text("0"),
}


@_does("become another user")
def _become(_: Surroundings) -> None:
    former = os.getuid()
    _LIBRARY.setresuid(12, 12, 12)
    _LIBRARY.setresuid(0, 0, 0)
    if os.getuid() == former:
        raise PermissionError(errno.EPERM, "it is the same user")


def _raise_limit(kind: int) -> None:
    soft, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(kind, (soft, hard + 1))


@_does("raise its limit of memory")
def _memory(_: Surroundings) -> None:
    try:
        _raise_limit(resource.RLIMIT_DATA)
    except ValueError as error:
        raise PermissionError(errno.EPERM, str(error)) from error


@_does("get core dumps")
def _core(_: Surroundings) -> None:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    except ValueError as error:
        raise PermissionError(errno.EPERM, str(error)) from error


@_does("make files of any size")
def _size(it: Surroundings) -> None:
    try:
        os.truncate(it.output / "image", 1 << 40)
    except OSError as error:
        raise PermissionError(errno.EPERM, str(error)) from error


@_does("open any number of files")
def _files(_: Surroundings) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = []
    try:
        while len(opened) < 10_000:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        raise PermissionError(errno.EPERM, str(error)) from error
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in opened:
            os.close(descriptor)


@_does("fill memory beyond its limit")
def _fill(_: Surroundings) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    try:
        # Not reserved (MAP_NORESERVE): only a limit refuses it.
        mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
    except OSError as error:
        raise PermissionError(errno.EPERM, str(error)) from error


@_does("start any number of threads")
def _threads(__: Surroundings) -> None:
    over = threading.Event()
    started = []
    try:
        for _ in range(MANY_THREADS):
            started.append(threading.Thread(target=over.wait, daemon=True))
            started[-1].start()
    except RuntimeError as error:
        raise PermissionError(errno.EPERM, str(error)) from error
    finally:
        over.set()


@_does("use what it inherited")
def _inherited(it: Surroundings) -> None:
    links = {int(entry.name): str(entry.readlink()) for entry in Path("/dev/fd").iterdir() if os.path.lexists(entry)}
    others = {link for number, link in links.items() if number > 2 and number != it.kept}
    if not [link for link in others if link.startswith(("pipe:", "socket:"))]:
        raise PermissionError(errno.EPERM, "nothing was inherited")


# What processes share.

_calls("make shared memory of System V", "shmget", 0, 4096, 0o1600)
_calls("make semaphores of System V", "semget", 0, 1, 0o1600)
_calls("make a queue of System V", "msgget", 0, 0o1600)
_calls("make a queue of POSIX", "mq_open", b"cf-probe", 0o102, 0o600, 0)
_calls("add a key", "add_key", b"user", b"cf-probe", b"x", 1, -2)
_calls("ask for a key", "request_key", b"user", b"cf-probe", 0, 0)
_calls("read the keyring", "keyctl", 0, -3, 0)
_calls("make a file in memory", "memfd_create", b"cf-probe", 0)
ACTIONS["share memory that no limit counts"] = lambda _: mmap.mmap(-1, 4096)

# The network.

ACTIONS |= {
    "connect to this machine": lambda it: socket.socket().connect(("127.0.0.1", it.port)),
    "reach the fork server": lambda it: socket.socket(socket.AF_UNIX).connect(it.fork_server),
    "send a datagram to a local socket": lambda _: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    "listen on a local socket": lambda it: socket.socket(socket.AF_UNIX).bind(str(it.output / "socket")),
    "listen on a local socket without a file": lambda it: socket.socket(socket.AF_UNIX).bind(f"\0cf-{it.victim}"),
    "talk to itself by a pair of sockets": lambda _: socket.socketpair(),
}
for _family in ("INET", "INET6", "NETLINK", "PACKET", "VSOCK", "UNIX"):
    _calls(f"open a socket of {_family}", "socket", int(getattr(socket, f"AF_{_family}")), int(socket.SOCK_STREAM), 0)
_calls("open a raw socket", "socket", int(socket.AF_INET), int(socket.SOCK_RAW), 1)
_calls("use io_uring", "io_uring_setup", 8, 0)

# The kernel.

_calls("make a namespace of users", "unshare", 0x10000000)
_calls("make a namespace of processes", "unshare", 0x20000000)
_calls("enter a namespace", "setns", -1, 0)
_calls("mount a file system", "mount", b"none", b"/", b"tmpfs", 0, 0)
_calls("open a file system", "fsopen", b"tmpfs", 0)
_calls("clone a mount", "open_tree", -100, b"/", 1)
_calls("change its root", "chroot", b"/")
_calls("load a program into the kernel", "bpf", 0, 0, 0)
_calls("handle its own page faults", "userfaultfd", 1)
_calls("hide memory from the kernel", "memfd_secret", 0)
_calls("change its segments", "modify_ldt", 0, 0, 0)
_calls("start another kernel", "kexec_load", 0, 0, 0, 0)
_calls("load a module", "init_module", 0, 0, b"")
_calls("use a file as memory", "swapon", b"/nothing", 0)
_calls("ask for quotas", "quotactl", 0, 0, 0, 0)
_calls("open a file by number", "open_by_handle_at", -100, bytes(64), 0)
_calls("watch a file system", "fanotify_init", 0, 0)
_calls("read the kernel's log", "syslog", 3, 0, 0)
_calls("restart the machine", "reboot", 0, 0, 0, 0)
_calls("rename the machine", "sethostname", b"x", 1)
_calls("set the clock", "clock_settime", 0, 0)
_calls("write all files of the machine to the disk", "sync")
_calls("use ports of the machine", "iopl", 3)
