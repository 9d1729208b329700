#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks that each file declares the system calls that its object file makes.

A file of the product names the system calls that its code makes through libc,
in one comment; a file that makes none has no such comment:

    /* syscalls: epoll_ctl close */
    /* syscalls: start: socket bind; run: recvmmsg */

Calls after "start:" are made only before the event loop runs, and those after
"end:" only after it, when they may fail. Calls after "run:", or without such a
word, are made at any time, and those after "vhost:", "logfile:", "pcap:" and
"stderr:" likewise, but only in this mode (see host/seccomp.h). Names are those
of glibc on x86-64. LIBC_CALLS of the Makefile has the calls that libc makes
itself, for memory and to end the program. `make syscalls` prints all of them,
and host/seccomp.c makes filters of them.
"""

import os
import re

import guard

NONE = """
abort asprintf __assert_fail bsearch calloc __cpu_model __ctype_b_loc dirfd environ
_end __errno_location exit _exit free getenv getopt_long _GLOBAL_OFFSET_TABLE_ htonl
htons in6addr_any in6addr_loopback inet_ntop inet_pton malloc memchr memcmp
memcpy memmem memmove mempcpy memset ntohl ntohs open_memstream optarg opterr
optind optopt __popcountdi2  realloc sigaddset sigemptyset snprintf sscanf
__stack_chk_fail stderr stdin stdout stpcpy strcasecmp strchr strchrnul strcmp
strcpy strcspn strdup strerror strlen strncasecmp strncmp strncpy strndup strnlen
strrchr strsep strspn strstr strtok_r strtol mallopt malloc_trim strtoll strtoul strtoull sysconf
vsnprintf
gmtime_r localtime_r strftime
"""     # those of the last line read no file, as log.c calls tzset() at start

CALLS = """
closedir        close
dprintf         write
execvp          execve
fclose          close
fgets           read fstat
fdopen          fcntl
fopen           openat
fork            clone
fprintf         write fstat
fputc           write fstat
fputs           write fstat
fscanf          read fstat
fwrite          write fstat
getgrnam        openat read fstat lseek close socket connect
getline         read fstat
getpwnam        openat read fstat lseek close socket connect
getpwuid        openat read fstat lseek close socket connect
getrlimit       prlimit64
if_indextoname  socket ioctl close
if_nametoindex  socket ioctl close
fstatat         newfstatat
lstat           newfstatat
open            openat
opendir         openat fstat
pread           pread64
printf          write fstat
putchar         write fstat
puts            write fstat
pwrite          pwrite64
readdir         getdents64
recv            recvfrom
send            sendto
setrlimit       prlimit64
realpath        readlink newfstatat
signal          rt_sigaction
signalfd        signalfd4
sigaction       rt_sigaction
sigprocmask     rt_sigprocmask
stat            newfstatat
tzset           openat fstat read lseek close
vfprintf        write fstat
"""

GROUPS = {'start', 'run', 'end', 'vhost', 'logfile', 'pcap', 'stderr'}

# Functions that make only the system call of the same name.
SAME = """
accept4 access bind chdir chroot clock_gettime close connect dup2 dup3
epoll_create1 epoll_ctl epoll_wait fchdir fcntl flock fstat ftruncate getegid geteuid getgid
getpeername getpid getrandom getresgid getresuid getsockname getsockopt getuid
inotify_add_watch inotify_init1 inotify_rm_watch ioctl lchown listen lseek madvise mount mprotect
mmap munmap openat poll prctl read readlink readlinkat
recvmmsg recvmsg sendmmsg sendmsg setgroups setresgid setresuid setsid
setsockopt setuid shutdown socket socketpair timerfd_create timerfd_settime umask umount2 uname unlink unlinkat unshare write
writev
"""


def table():
    """Returns a dictionary: libc function or variable -> its system calls."""
    calls = {name: [] for name in NONE.split()}
    calls.update({name: [name] for name in SAME.split()})
    for row in CALLS.strip().splitlines():
        name, *those = row.split()
        calls[name] = those
    return calls


def declared(text):
    """The calls that a file declares: {'start': names, 'run': names ...}."""
    groups = {}
    for comment in re.findall(r'^/\* syscalls: (.*?)\*/', text, re.M | re.S):
        for part in re.sub(r'\n \*', ' ', comment).split(';'):
            word, _, names = part.rpartition(':')
            groups.setdefault(word.strip() or 'run',
                              set()).update(names.split())
    return groups


def plain(name):
    """The plain name of a libc function, for the compiler's variants of it."""
    name = re.sub(r'^__isoc\d+_', '', name.partition('@')[0])
    return re.sub(r'^__(\w+)_chk$', r'\1', name)


def undefined(objects):
    """Returns a dictionary: source path -> undefined names that none of our
    objects defines, so that libc must."""
    source = {obj: path for path, obj in objects.items()}
    home, wanted = set(), {path: set() for path in objects}
    for line in guard.output('nm', '-gA', *source).splitlines():
        obj, _, entry = line.partition(':')
        *_, kind, name = entry.split()
        if kind in 'Uvw':
            wanted[source[obj]].add(name)
        else:
            home.add(name)
    return {path: {plain(name) for name in names - home}
            for path, names in wanted.items()}


def made(names, text, calls):
    """The system calls of these libc functions; for syscall(), the numbers in
    the file's text."""
    found = {call for name in names for call in calls.get(name, ())}
    if 'syscall' in names:
        found |= set(re.findall(r'\bsyscall\(SYS_(\w+)', text))
    return found


def mistakes(sources, wanted, calls):
    for path, names in wanted.items():
        groups = declared(sources[path])
        right = made(names, sources[path], calls)
        said = set().union(*groups.values())
        for name in sorted(names - set(calls) - {'syscall'}):
            yield f'{path}: {name}: say in syscalls.py which calls it makes'
        for call in sorted(right - said):
            yield f'{path}: {call} is not declared'
        for call in sorted(said - right):
            yield f'{path}: {call} is declared, but not made'
        for group in sorted(set(groups) - GROUPS):
            yield f'{path}: {group} is no group'
        both = groups.get('start', set()) & groups.get('run', set())
        for call in sorted(both):
            yield f'{path}: {call} is declared twice'


def main():
    sources = {path: guard.read(path) for path in guard.product('.c')}
    objects = {path: os.path.join(guard.B, path[:-1] + 'o')
               for path in sources}
    wanted, calls = undefined(objects), table()
    guard.check('files declare the system calls that they make',
                mistakes(sources, wanted, calls))
    found = list(mistakes({'a.c': '/* syscalls: start: bind; run: close */\n'},
                          {'a.c': {'close', 'recv', 'strange'}}, calls))
    guard.check('a missing, a needless and an unknown call are found', [] if
                len(found) == 3 else [f'only {found}'])
    guard.done()


if __name__ == '__main__':
    main()
