# SPDX-License-Identifier: AGPL-3.0-or-later
"""calls.py - The functions of libc that can fail, with their errors, and orders
to the library that makes them fail (interpose.c)."""

import collections
import ctypes
import errno
import functools
import mmap
import os
import re
import subprocess

from netlab import preload

HERE = os.path.dirname(os.path.abspath(__file__))
SHORT, ANY = 0xfffe, 0xffffffff
RULES, SITES = 32, 1024

# What each call can give while the event loop runs, from its page of the manual
# and from socket(7), ip(7), udp(7), tcp(7), unix(7) and netlink(7). Not listed
# are errors that only a mistake of the program causes: EBADF, EFAULT. SHORT is
# no error: only a part is transferred. After a colon are calls of the kernel
# with another name.
ERRORS = """
accept4       EAGAIN ECONNABORTED EHOSTUNREACH EINTR EMFILE ENETDOWN ENFILE
              ENOBUFS ENOMEM EPERM EPROTO
bind          EACCES EADDRINUSE EADDRNOTAVAIL EINVAL ENODEV ENOMEM EPERM
close         EDQUOT EINTR EIO ENOSPC
connect       EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN ECONNREFUSED
              EHOSTUNREACH EINTR EINVAL ENETDOWN ENETUNREACH ENOBUFS ENOMEM
              EPERM ETIMEDOUT
epoll_ctl     ENOMEM ENOSPC
epoll_wait    EINTR
fchdir        EACCES ENOENT
fcntl         EACCES EINVAL
fstat         ENOMEM EOVERFLOW
fstatat       EACCES ENOENT ENOMEM
ftruncate     EFBIG EINTR EIO EPERM
getrandom     EINTR
getsockname   ENOBUFS
getsockopt    EINVAL ENOBUFS ENOMEM ENOPROTOOPT
inotify_add_watch EACCES ENOENT ENOMEM ENOSPC ENOTDIR
inotify_rm_watch EINVAL
ioctl         EINVAL ENODEV ENXIO EPERM
lstat         EACCES ENOENT ENOMEM
madvise       EAGAIN EINVAL ENOMEM
mmap          EAGAIN ENFILE ENOMEM EPERM
munmap        ENOMEM
open          EACCES EINTR ELOOP EMFILE ENFILE ENOENT ENOMEM ENOSPC
openat        EACCES EINTR ELOOP EMFILE ENFILE ENOENT ENOMEM ENOSPC
poll          EINTR ENOMEM
pread         EAGAIN EINTR EIO
pwrite        EDQUOT EFBIG EINTR EIO ENOSPC SHORT
read          EAGAIN EINTR EIO
readlink      EACCES EINVAL EIO ELOOP ENOENT ENOMEM
readlinkat    EACCES EINVAL EIO ELOOP ENOENT ENOMEM
recv          EAGAIN ECONNREFUSED ECONNRESET EHOSTUNREACH EINTR ENETDOWN
              ENOBUFS ENOMEM ENOTCONN ETIMEDOUT
recvmmsg      EAGAIN ECONNREFUSED EHOSTUNREACH EINTR EMSGSIZE ENETDOWN
              ENETUNREACH ENOMEM ENOPROTOOPT SHORT
recvmsg       EAGAIN ECONNREFUSED ECONNRESET EHOSTUNREACH EINTR ENETDOWN
              ENETUNREACH ENOBUFS ENOMEM ENOTCONN ETIMEDOUT
send          EACCES EAGAIN ECONNREFUSED ECONNRESET EHOSTUNREACH EINTR EMSGSIZE
              ENETUNREACH ENOBUFS ENOMEM EPERM EPIPE SHORT
sendmmsg      EACCES EADDRNOTAVAIL EAGAIN ECONNREFUSED EHOSTUNREACH EINTR EINVAL
              EIO EMSGSIZE ENETDOWN ENETUNREACH ENOBUFS ENOMEM EPERM SHORT
sendmsg       EACCES EADDRNOTAVAIL EAGAIN ECONNREFUSED ECONNRESET EHOSTUNREACH
              EINTR EINVAL EMSGSIZE ENETDOWN ENETUNREACH ENOBUFS ENOMEM EPERM
              EPIPE ETIMEDOUT SHORT
setresgid     EAGAIN EPERM
setresuid     EAGAIN EPERM
setsockopt    EADDRNOTAVAIL EINVAL ENOBUFS ENODEV ENOMEM ENOPROTOOPT EPERM
shutdown      ENOTCONN
syscall       EACCES EAGAIN EINTR ELOOP EMFILE ENFILE ENOENT ENOMEM EXDEV
socket        EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS ENOMEM EPERM
              EPROTONOSUPPORT
unlinkat      EACCES ENOENT EPERM EROFS
write         EAGAIN EDQUOT EFBIG EINTR EIO ENOSPC EPIPE SHORT
writev        EAGAIN EDQUOT EFBIG EINTR EIO ENOSPC EPIPE SHORT
malloc        ENOMEM
calloc        ENOMEM
realloc       ENOMEM
"""

# Places where a call can give fewer errors, because of its type of descriptor.
PLACES = {
    "ask_interface": "",        # ENODEV comes with a report of the change
    "drain_inotify": "EAGAIN EINTR",
    "drain_wakeup": "EAGAIN ECANCELED EINTR",
    "family_exists": "EACCES EMFILE ENFILE ENOBUFS ENOMEM EPERM",
    "handle_signal": "EAGAIN EINTR",
    "sock_next_error": "EAGAIN EINTR",
    "sock_recv": "EAGAIN ECONNRESET EINTR ENOBUFS ENOMEM",
    "sock_send": "EACCES EAGAIN EINTR ENOBUFS ENOMEM EPERM",
}

# Errors that contradict what epoll has reported, or that the kernel reports
# once, and forgets then: they come a thousand times at most, or three times.
PASSING = {"EAGAIN", "EINTR", "ECANCELED"}
ONE_SHOT = {
    "recv": {"ENOBUFS", "ENOMEM"}, "recvmsg": {"ENOBUFS", "ENOMEM"},
    "recvmmsg": {"ENOMEM"}, "sock_recv": set(),
}

# Calls that are not made to fail, and why: they can't fail, or only libc makes
# them, for one of the functions above.
NEVER = """
brk clock_gettime exit_group futex geteuid getpid gettid mremap rt_sigprocmask
rt_sigreturn setgroups tgkill
"""

# The kernel's names for functions of libc with another name.
KERNEL = {"openat": "open", "openat2": "syscall", "newfstatat": "lstat",
          "pread64": "pread", "pwrite64": "pwrite", "recvfrom": "recv", "sendto": "send"}


def errors(text=ERRORS):
    """Returns a dictionary: function -> names of its errors."""
    found, name = {}, None
    for word in text.split():
        if word.isupper():
            found[name].append(word)
        else:
            name = word
            found[name] = []
    return found


def repeats(call, where, error):
    """How often in a row a call can give an error: names of fault.TIMES."""
    yield from ("once", "thrice")
    if error in PASSING:
        yield "often"
    elif error in ONE_SHOT.get(where, ONE_SHOT.get(call, {error})):
        yield "forever"


def errors_at(call, where):
    """Names of the errors that a call in this function can give."""
    if where in PLACES:
        return PLACES[where].split()
    return errors().get(call, ())


def number(error):
    return SHORT if error == "SHORT" else getattr(errno, error)


def names():
    """The functions of interpose.h, in the order of their numbers."""
    with open(f"{HERE}/interpose.h", encoding="ascii") as file:
        text = file.read()
    text = text[text.index("#define FAILING_CALLS"):text.index("#define SHORT")]
    first, others = text.split("#define OTHER_CALLS(CALL)")
    return re.findall(r"\bCALL\(\w+, (\w+)", first) + \
        re.findall(r"\bCALL\((\w+)\)", others)


class Rule(ctypes.Structure):
    """struct fail_rule of interpose.h"""
    _fields_ = [(name, ctypes.c_uint32) for name in (
        "times", "call", "error", "first", "site", "level", "name", "seen",
        "failed")]


class Site(ctypes.Structure):
    """struct call_site of interpose.h"""
    _fields_ = [(name, ctypes.c_uint32) for name in (
        "call", "site", "level", "name", "count")]


class Memory(ctypes.Structure):
    """struct orders of interpose.h"""
    _fields_ = [("live", ctypes.c_int64), ("nsites", ctypes.c_uint32),
                ("unused", ctypes.c_uint32), ("rules", Rule * RULES),
                ("sites", Site * SITES)]


class Orders:
    """Orders to the library in one passt. @env: environment for lab.passt()"""

    def __init__(self, lab):
        self.names = names()
        path = f"{lab.dir}/orders"
        with open(path, "w+b") as file:
            os.fchmod(file.fileno(), 0o666)
            file.truncate(ctypes.sizeof(Memory))
            self.map = mmap.mmap(file.fileno(), ctypes.sizeof(Memory))
        self.memory = Memory.from_buffer(self.map)
        self.program = lab.passt_bin    # the library needs no call of its own,
        self.env = preload(lab, "fault/interpose.c", FAULT_ORDERS=path)
        self.env["PROGRAM"] = self.program      # so passt keeps its sandbox

    def fail(self, call, error, times=1, first=0, site=ANY, level=ANY,
             name=ANY, rule=0):
        """From now on, makes a function fail."""
        r = self.memory.rules[rule]
        r.times = 0
        r.call, r.error = self.names.index(call), number(error)
        r.first, r.site, r.level, r.name = first, site, level, name
        r.seen = r.failed = 0
        r.times = times

    def stop(self):
        """No call fails any more. Returns how many have failed."""
        failed = 0
        for r in self.memory.rules:
            r.times = 0
            failed += r.failed
            r.failed = 0
        return failed

    def forget(self):
        """Forgets which calls were made where."""
        self.memory.nsites = 0

    def sites(self):
        """Returns a dictionary: (function, place) -> calls made there."""
        found = collections.Counter()
        for s in self.memory.sites[:self.memory.nsites]:
            found[self.names[s.call], s.site] += s.count
        return found

    def variants(self):
        """The different calls made: tuples of function, level and name, see
        struct fail_rule."""
        return sorted({(self.names[s.call], s.level, s.name)
                       for s in self.memory.sites[:self.memory.nsites]})

    @functools.lru_cache(None)
    def place(self, site):
        """The function and the line of a place in the program, as text."""
        if not site:
            return "libc"
        out = subprocess.run(["addr2line", "-fse", self.program,
                              hex(site - 1)], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.split()
        return f"{out[0]} {out[1]}"


def declared():
    """Functions and calls that passt makes in its event loop, by the names that
    ERRORS has for them."""
    out = subprocess.run(["make", "-s", "syscalls"], check=True, text=True,
                         cwd=os.path.join(HERE, "../../.."),
                         stdout=subprocess.PIPE).stdout
    return {KERNEL.get(name, name) for name in
            re.findall(r"^run (\w+)$", out, re.M)} - set(NEVER.split())
