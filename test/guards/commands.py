#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks that a test runs each command that a document shows, or that this file
says why not.

Commands are indented lines of README.md, CONTRIBUTING.md, SECURITY.md and
doc/*.md that begin with a program's name, and texts in backticks that do so. A
line of TESTED names the file that runs the command, and words of that file; if
the words disappear, the check fails.
"""

import re
import shlex
import subprocess

import guard

PROGRAMS = ('make', './demo', './test/run', 'test/run', 'test/wire/run',
            'test/analyse', 'test/wire/memcheck',
            'test/bench/soak', 'test/bench/mixed', 'test/setup', 'passt', 'qrap', 'ip', 'sysctl',
            'qemu-system-x86_64', 'man', 'git', 'ulimit')

# Command -> the file of the test that runs it, and words of that file.
TESTED = {
    './demo': ('test/vm/demo.py', './demo'),
    './test/run': ('.ci/run', './test/run'),
    'test/run': ('.ci/run', './test/run'),
    './test/run unit wire': ('test/run', 'for part; do'),
    'test/setup': ('test/run', 'test/setup "$@"'),
    "test/wire/run T5 'T7.*v6'": ('test/run', 'test/wire/run'),
    'make': ('test/build', 'all'),
    'make WERROR=1': ('test/build', 'WERROR=1'),
    'make install PREFIX=/usr/local': ('test/build', 'install'),
    'make check': ('test/run', '"$B/unit/$unit"'),
    'make B=build/san SAN=1 all': ('test/run', 'B=build/san SAN=1 all'),
    'make B=build/plain HARDEN=no': ('test/build', 'HARDEN=no'),
    'make bench PEER=build/plain/passt BENCH=\'--only tcp --only udp '
    "--only rr --only crr --seconds 1'": ('test/net/bench.py', 'PEER='),
    'test/wire/memcheck': ('test/run', 'test/wire/memcheck'),
    'test/analyse': ('test/run', 'test/analyse'),
    'test/analyse tcp/conn.c': ('test/analyse', 'files=("$@")'),
    'make bench': ('test/net/bench.py', '"bench"'),
    "make bench BENCH='--quick'": ('test/net/bench.py', '--quick'),
    'make bench PEER=PATH': ('test/net/bench.py', 'PEER='),
    'make units': ('test/run', 'B=build units'),
    'passt --show-sandbox': ('test/net/sandbox.py', '--show-sandbox'),
    'passt --help': ('test/unit/manual.c', 'help'),
    'passt -f -s /tmp/vm.socket': ('test/vm/qemu.py', 'netdev stream'),
    'qemu-system-x86_64 -m 1024 -nographic disk.img -netdev stream,id=s,'
    'server=off,addr.type=unix,addr.path=/tmp/vm.socket -device '
    'virtio-net-pci,netdev=s': ('test/vm/qemu.py', 'stream,'),
    'qrap 5 qemu-system-x86_64 -m 1024 -nographic disk.img -netdev '
    'socket,fd=5,id=n -device virtio-net-pci,netdev=n':
        ('test/vm/qemu.py', 'socket,id=n,fd=5'),
    'passt -f --vhost-user -s /tmp/vm.socket':
        ('test/vm/vhost.py', '--vhost-user'),
    'qemu-system-x86_64 -m 1024 -nographic disk.img -object '
    'memory-backend-memfd,id=mem,size=1024M,share=on -numa '
    'node,memdev=mem -chardev socket,id=c,path=/tmp/vm.socket,'
    'reconnect-ms=500 -netdev vhost-user,id=n,chardev=c -device '
    'virtio-net-pci,netdev=n,rx_queue_size=1024':
        ('test/vm/vhost.py', 'memory-backend-memfd'),
    'qrap -m 1024 -nographic disk.img': ('test/net/qrap.py', '-m'),
    'ip netns exec pod setpriv --reuid=alice --regid=alice --init-groups '
    'passt -s /tmp/pod.socket -t all -u all':
        ('test/net/forward.py', 'lab.passt("-t", "all", "-u", "all")'),
    "sysctl -w net.ipv4.ping_group_range='0 2147483647'":
        ('test/net/netlab.py', 'ping_group_range'),
}

# Commands that this guard runs itself.
RUN_HERE = ('make check-deps', 'make syscalls')

# Command -> why no test runs it.
NOT_TESTED = {
    'test/wire/memcheck .': 'takes half an hour',
    './test/run msan': 'takes 100 s of CPU time',
    'man -l doc/passt.1': 'test/unit/manual.c reads the page',
    'qrap FD COMMAND...': 'a form, no command; test/net/qrap.py has many',
    'qrap ARG...': 'a form, no command; test/net/qrap.py has many',
    'ulimit -Hn': 'a command of the shell',
    'git clang-format --diff': 'needs the changes of a contributor',
    'test/bench/soak --gb 100 --minutes 30': 'takes half an hour',
    'test/bench/mixed --minutes 60': 'takes an hour',
    'make fuzz FUZZ_S=60': 'test/run has a fixed number of inputs',
    'make fuzz FUZZ_S=600': 'test/run has a fixed number of inputs',
    'make fuzz-coverage': 'needs another build of all targets',
    'make afl FUZZ_S=600': 'AFL++ is not part of CI',
}


def without_fences(text):
    return re.sub(r'^```.*?^```', '', text, flags=re.S | re.M)


def shown(text):
    """The commands that a document shows."""
    text = without_fences(text)
    lines = re.sub(r' *\\\n +', ' ', text).splitlines()
    found = [re.split(r'\s{3,}', line.strip())[0] for line in lines
             if re.match(r' {4}\S', line)]
    found += re.findall(r'`([^`\n]+)`', text)
    return [line for line in found if is_command(line)]


def is_command(line):
    """Whether a line is a command, not only the name of a program."""
    word, *rest = line.split() or ['']
    return word in PROGRAMS and (
        word == 'make' or '/' in word or
        any(x.startswith('-') or '=' in x or x[1:].isupper() for x in rest))


def documents():
    return [path for path in guard.tracked()
            if path in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md') or
            re.fullmatch(r'doc/[^/]*\.md', path)]


def unknown(commands):
    known = {*TESTED, *RUN_HERE, *NOT_TESTED}
    return [f'{path}: {line}' for path, line in commands if line not in known]


def untested():
    for line, (path, words) in TESTED.items():
        if words not in guard.read(path):
            yield f'{line}: {path} has no {words!r} any more'


def stale(commands):
    there = {line for _, line in commands}
    return [line for line in (*TESTED, *RUN_HERE, *NOT_TESTED)
            if line not in there and ' ' in line]


def failing():
    for line in RUN_HERE:
        out = subprocess.run([*shlex.split(line), f'B={guard.B}'],
                             cwd=guard.TOP, capture_output=True, text=True)
        if out.returncode or not out.stdout:
            yield f'{line}: {out.stderr.strip() or "prints nothing"}'


def main():
    commands = [(path, line) for path in documents()
                for line in shown(guard.read(path))]
    guard.check('each command in a document is tested, or the reason is given',
                unknown(commands))
    guard.check('the tests that run them are there', untested())
    guard.check('no line is left of a command that no document shows',
                stale(commands))
    guard.check('commands that only print do so', failing())
    guard.done()


if __name__ == '__main__':
    main()
