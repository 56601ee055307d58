"""The system calls that the filter (`seccomp`) refuses, each group with its reason.

Landlock is about the content of files. What a process may do beside that, to files' owners and times, to other
processes, to the kernel, is a system call of its own: refused here by name. Their numbers are in `call_numbers`; a call
that is newer than that list does not exist for the process.
"""

import errno
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """Refuse a call where its `argument`, counted from 0, is one of `values`; or, with `only`, where it is none.

    Of the argument the bits of `mask` are compared. Every call here has arguments of 32 bits in those places.
    """

    argument: int
    values: tuple[int, ...]
    only: bool = False
    mask: int = 0xFFFFFFFF


#: Refused whatever their arguments, and with which error.
REFUSED: tuple[tuple[int, str], ...] = (
    # Owners, permissions and times of files, which Landlock leaves to whoever owns them.
    (errno.EPERM, "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat"),
    # Their other attributes, as where a file system has none: libraries then go on without.
    (errno.EOPNOTSUPP, "getxattr lgetxattr fgetxattr getxattrat listxattr llistxattr flistxattr listxattrat"),
    (errno.EOPNOTSUPP, "setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat"),
    (errno.EOPNOTSUPP, "file_getattr file_setattr"),
    # Names of files that Landlock would hide, files by number, and devices.
    (errno.EPERM, "inotify_init inotify_init1 inotify_add_watch fanotify_init fanotify_mark"),
    (errno.EPERM, "name_to_handle_at open_by_handle_at mknod mknodat"),
    # Programs and other processes. The flags of clone3 lie in memory, which no filter reads: where it does not exist,
    # the C library uses clone.
    (errno.ENOSYS, "clone3"),
    (errno.EPERM, "fork vfork execve execveat ptrace process_vm_readv process_vm_writev process_madvise"),
    (errno.EPERM, "process_mrelease kcmp pidfd_open pidfd_getfd pidfd_send_signal perf_event_open tkill"),
    (errno.EPERM, "ioprio_set sched_setscheduler sched_setparam sched_setattr migrate_pages"),
    # The network, and the fork server, which listens on a local socket.
    (errno.EACCES, "connect"),
    # Memory, messages and keys that the processes of a user share.
    (errno.EPERM, "shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"),
    (errno.EPERM, "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr add_key request_key keyctl"),
    # Parts of the kernel that have had many flaws, io_uring among them, which opens sockets without the system call.
    (errno.EPERM, "bpf userfaultfd modify_ldt memfd_secret io_uring_setup io_uring_enter io_uring_register"),
    # Mounts and namespaces.
    (errno.EPERM, "mount umount2 pivot_root chroot open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick"),
    (errno.EPERM, "mount_setattr statmount listmount listns unshare setns"),
    # The state of the machine.
    (errno.EPERM, "swapon swapoff quotactl quotactl_fd acct syslog reboot kexec_load kexec_file_load sync syncfs"),
    (errno.EPERM, "init_module finit_module delete_module sethostname setdomainname settimeofday clock_settime"),
    (errno.EPERM, "clock_adjtime adjtimex iopl ioperm vhangup uselib nfsservctl sysfs ustat _sysctl lookup_dcookie"),
)

# linux/sched.h: CLONE_THREAD, and all flags of namespaces.
_THREAD, _NAMESPACES = 0x10000, 0x7E020000
# linux/fcntl.h: F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY: signals to others, and leases on their files.
_SIGNALS_OF_FILES = (8, 10, 15, 1024, 1026)
# The kinds (second byte) of ioctl that change files and folders: 'f', 'X', 'v', and those of btrfs, cloning among them;
# 0x89 sets who gets a socket's signals. Terminals: TIOCSTI, TIOCLINUX, which type on behalf of the user.
_IOCTLS_OF_FILES = (0x6600, 0x5800, 0x7600, 0x9400, 0x8900)
_IOCTLS_THAT_TYPE = (0x5412, 0x541C)
# linux/prctl.h: PDEATHSIG, DUMPABLE, MM, CHILD_SUBREAPER, IO_FLUSHER, SCHED_CORE, PTRACER: what undoes this sandbox.
_PROCESS_CONTROLS = (1, 4, 35, 36, 57, 62, 0x59616D61)
# asm-generic/mman-common.h: MAP_TYPE and MAP_ANONYMOUS; MAP_SHARED of both. No limit of memory counts it.
_MAP_BITS, _SHARED_MEMORY = 0x2F, 0x21
_SOCK_TYPE = 0xF


def conditional(process: int, graphics: bool) -> dict[str, tuple[int, tuple[Condition, ...]]]:
    """The calls that are refused with some arguments: the error, and when. `process` is the number of the calling one.

    Without conditions a call is always refused. `graphics`: the driver of a graphics device runs in the process. It may
    share memory, and listen on one kind of local socket, which nothing in a sandbox can connect to.
    """
    itself = Condition(0, (process,), only=True)
    itself_or_0 = Condition(0, (0, process), only=True)
    local = Condition(0, (socket.AF_UNIX,), only=True)
    found = {
        "ioctl": (
            errno.EPERM,
            (Condition(1, _IOCTLS_OF_FILES, mask=0xFF00), Condition(1, _IOCTLS_THAT_TYPE)),
        ),
        "fcntl": (errno.EPERM, (Condition(1, _SIGNALS_OF_FILES),)),
        "clone": (
            errno.EPERM,
            (Condition(0, (_THREAD,), only=True, mask=_THREAD), Condition(0, (0,), only=True, mask=_NAMESPACES)),
        ),
        # A datagram could be sent to any socket of the machine.
        "socketpair": (
            errno.EACCES,
            (local, Condition(1, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), only=True, mask=_SOCK_TYPE)),
        ),
        "kill": (errno.EPERM, (itself,)),
        "tgkill": (errno.EPERM, (itself,)),
        "rt_sigqueueinfo": (errno.EPERM, (itself,)),
        "rt_tgsigqueueinfo": (errno.EPERM, (itself,)),
        "prlimit64": (errno.EPERM, (itself_or_0,)),
        "sched_setaffinity": (errno.EPERM, (itself_or_0,)),
        "move_pages": (errno.EPERM, (itself_or_0,)),
        # PRIO_PROCESS of itself.
        "setpriority": (errno.EPERM, (Condition(0, (0,), only=True), Condition(1, (0,), only=True))),
        "prctl": (errno.EPERM, (Condition(0, _PROCESS_CONTROLS),)),
        # PER_LINUX, and the question which one it is.
        "personality": (errno.EPERM, (Condition(0, (0, 0xFFFFFFFF), only=True),)),
    }
    if graphics:
        listener = Condition(1, (socket.SOCK_SEQPACKET,), only=True, mask=_SOCK_TYPE)
        return found | {"socket": (errno.EACCES, (local, listener))}
    always: dict[str, tuple[int, tuple[Condition, ...]]] = dict.fromkeys(
        ("socket", "bind", "listen", "accept", "accept4"), (errno.EACCES, ())
    )
    shared = (Condition(3, (_SHARED_MEMORY,), mask=_MAP_BITS),)
    return found | always | {"mmap": (errno.EPERM, shared), "memfd_create": (errno.EPERM, ())}
