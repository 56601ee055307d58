"""The numbers of the system calls that the filter names, for x86-64 and arm64.

Each kind of machine has its own (asm/unistd_64.h, asm-generic/unistd.h); calls since Linux 5.1 have one on all of them.
A table of our own: the library that knows them all (libseccomp) is in no package of Python and not on every node.
"""

_X86_64 = """
_sysctl=156 accept=43 accept4=288 acct=163 add_key=248 adjtimex=159 bind=49 bpf=321 chmod=90 chown=92 chroot=161
clock_adjtime=305 clock_settime=227 clone=56 connect=42 delete_module=176 execve=59 execveat=322
fanotify_init=300 fanotify_mark=301 fchmod=91 fchmodat=268 fchown=93 fchownat=260 fcntl=72 fgetxattr=193
finit_module=313 flistxattr=196 fork=57 fremovexattr=199 fsetxattr=190 futimesat=261 getxattr=191
init_module=175 inotify_add_watch=254 inotify_init=253 inotify_init1=294 ioctl=16 ioperm=173 iopl=172
ioprio_set=251 kcmp=312 kexec_file_load=320 kexec_load=246 keyctl=250 kill=62 lchown=94 lgetxattr=192 listen=50
listxattr=194 llistxattr=195 lookup_dcookie=212 lremovexattr=198 lsetxattr=189 memfd_create=319
migrate_pages=256 mknod=133 mknodat=259 mmap=9 modify_ldt=154 mount=165 move_pages=279 mq_getsetattr=245
mq_notify=244 mq_open=240 mq_timedreceive=243 mq_timedsend=242 mq_unlink=241 msgctl=71 msgget=68 msgrcv=70
msgsnd=69 name_to_handle_at=303 nfsservctl=180 open_by_handle_at=304 perf_event_open=298 personality=135
pivot_root=155 prctl=157 prlimit64=302 process_vm_readv=310 process_vm_writev=311 ptrace=101 quotactl=179
reboot=169 removexattr=197 request_key=249 rt_sigqueueinfo=129 rt_tgsigqueueinfo=297 sched_setaffinity=203
sched_setattr=314 sched_setparam=142 sched_setscheduler=144 semctl=66 semget=64 semop=65 semtimedop=220
setdomainname=171 sethostname=170 setns=308 setpriority=141 settimeofday=164 setxattr=188 shmat=30 shmctl=31
shmget=29 socket=41 socketpair=53 swapoff=168 swapon=167 sync=162 syncfs=306 sysfs=139 syslog=103 tgkill=234
tkill=200 umount2=166 unshare=272 uselib=134 userfaultfd=323 ustat=136 utime=132 utimensat=280 utimes=235
vfork=58 vhangup=153
"""

_ARM64 = """
accept=202 accept4=242 acct=89 add_key=217 adjtimex=171 bind=200 bpf=280 chroot=51 clock_adjtime=266
clock_settime=112 clone=220 connect=203 delete_module=106 execve=221 execveat=281 fanotify_init=262
fanotify_mark=263 fchmod=52 fchmodat=53 fchown=55 fchownat=54 fcntl=25 fgetxattr=10 finit_module=273
flistxattr=13 fremovexattr=16 fsetxattr=7 getxattr=8 init_module=105 inotify_add_watch=27 inotify_init1=26
ioctl=29 ioprio_set=30 kcmp=272 kexec_file_load=294 kexec_load=104 keyctl=219 kill=129 lgetxattr=9 listen=201
listxattr=11 llistxattr=12 lookup_dcookie=18 lremovexattr=15 lsetxattr=6 memfd_create=279 migrate_pages=238
mknodat=33 mmap=222 mount=40 move_pages=239 mq_getsetattr=185 mq_notify=184 mq_open=180 mq_timedreceive=183
mq_timedsend=182 mq_unlink=181 msgctl=187 msgget=186 msgrcv=188 msgsnd=189 name_to_handle_at=264 nfsservctl=42
open_by_handle_at=265 perf_event_open=241 personality=92 pivot_root=41 prctl=167 prlimit64=261
process_vm_readv=270 process_vm_writev=271 ptrace=117 quotactl=60 reboot=142 removexattr=14 request_key=218
rt_sigqueueinfo=138 rt_tgsigqueueinfo=240 sched_setaffinity=122 sched_setattr=274 sched_setparam=118
sched_setscheduler=119 semctl=191 semget=190 semop=193 semtimedop=192 setdomainname=162 sethostname=161
setns=268 setpriority=140 settimeofday=170 setxattr=5 shmat=196 shmctl=195 shmget=194 socket=198 socketpair=199
swapoff=225 swapon=224 sync=81 syncfs=267 syslog=116 tgkill=131 tkill=130 umount2=39 unshare=97 userfaultfd=282
utimensat=88 vhangup=58
"""

_EVERYWHERE = """
pidfd_send_signal=424 io_uring_setup=425 io_uring_enter=426 io_uring_register=427 open_tree=428 move_mount=429
fsopen=430 fsconfig=431 fsmount=432 fspick=433 pidfd_open=434 clone3=435 pidfd_getfd=438 process_madvise=440
mount_setattr=442 quotactl_fd=443 memfd_secret=447 process_mrelease=448 fchmodat2=452 statmount=457
listmount=458 setxattrat=463 getxattrat=464 listxattrat=465 removexattrat=466 open_tree_attr=467
file_getattr=468 file_setattr=469 listns=470
"""

#: The newest call of the kernel that these tables were compared with (Linux 6.19).
NEWEST = 470


def call_numbers(machine: str) -> dict[str, int] | None:
    """The numbers by name on a kind of machine, as `platform.machine` names it; None for one without a table.

    A call that a machine does not have is missing.
    """
    own = {"x86_64": _X86_64, "aarch64": _ARM64}.get(machine)
    if own is None:
        return None
    pairs = (entry.partition("=") for entry in (own + _EVERYWHERE).split())
    return {name: int(number) for name, _, number in pairs}
