#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks product code against those rules of CONTRIBUTING.md that a program can
check."""

import collections
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import guard

COLUMNS = 80
FUNCTION = 60           # lines, less than
FILE = 900              # lines, less than

# Headers of libc and the kernel that a file might include: our headers must not
# define any of their names.
FOREIGN = """
net/ethernet.h net/if.h net/if_arp.h net/route.h netinet/icmp6.h
netinet/if_ether.h netinet/igmp.h netinet/in.h netinet/ip.h netinet/ip6.h
netinet/ip_icmp.h netinet/tcp.h netinet/udp.h syslog.h sys/queue.h
sys/sysinfo.h sys/uio.h linux/errqueue.h linux/filter.h linux/icmp.h
linux/icmpv6.h linux/if_arp.h linux/if_ether.h linux/if_packet.h
linux/if_tun.h linux/igmp.h linux/in6.h linux/ip.h linux/ipv6.h linux/netlink.h
linux/rtnetlink.h linux/seccomp.h linux/sock_diag.h linux/sockios.h
linux/tcp.h linux/udp.h linux/vhost.h linux/virtio_net.h
""".split()

Function = collections.namedtuple('Function', 'path name line end static')


def functions(paths):
    """Finds the functions that these files define, with ctags."""
    found = []
    for row in guard.output('ctags', '--sort=no', '--c-kinds=f', '--fields=ne',
                            '-o', '-', '--language-force=C',
                            *paths).splitlines():
        name, path, pattern, *fields = row.split('\t')
        field = dict(entry.partition(':')[::2] for entry in fields)
        if name.startswith('__anon') or 'end' not in field:
            continue
        found.append(Function(path, name, int(field['line']),
                              int(field['end']),
                              pattern.startswith('/^static')))
    return found


def wide_lines(path, text):
    """Finds lines with more than 80 columns, not counting string constants."""
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r'"(\\.|[^"\\])*"', '""', line.expandtabs(8))
        if len(line) > COLUMNS:
            yield f'{path}:{number}: {len(line)} columns'


def long_files(path, text):
    lines = text.count('\n')
    if lines >= FILE:
        yield f'{path}: {lines} lines'


def long_functions(found):
    for f in found:
        lines = f.end - f.line + 1
        if lines >= FUNCTION:
            yield f'{f.path}:{f.line}: {f.name}() has {lines} lines'


def short_names(found):
    for f in found:
        if f.static and '_' not in f.name.strip('_'):
            yield f'{f.path}:{f.line}: {f.name}()'


def shared_names(found):
    where = collections.defaultdict(set)
    for f in found:
        if f.name != 'main':
            where[f.name].add(f.path)
    for name, paths in sorted(where.items()):
        if len(paths) > 1:
            yield f'{name}(): {" ".join(sorted(paths))}'


def heads(path, text):
    """Finds lists of callers or callees in a file's first comment: they belong
    in doc/layers."""
    head = text.partition('*/')[0]
    if re.search(r'\b(Called|Included) by\b|\bCalls\b|; calls\b', head):
        yield f'{path}: a list of calls in its head'


def header_guards(path, text):
    name = re.sub(r'[/.]', '_', path).upper()
    if f'\n#ifndef {name}\n#define {name}\n' not in text or \
            not text.endswith(f'\n#endif /* {name} */\n'):
        yield f'{path}: no guard {name}'


def compiler_says(source):
    """Compiles some includes. Yields the compiler's messages."""
    run = subprocess.run(
        ['gcc', '-fsyntax-only', '-D_GNU_SOURCE', '-I.', '-std=gnu11', '-Wall',
         '-Wextra', '-Wno-unused-function', '-Wno-unused-parameter',
         '-fno-diagnostics-show-caret', '-x', 'c', '-'], cwd=guard.TOP,
        input=source, text=True, stderr=subprocess.PIPE, check=False)
    message = []
    for line in run.stderr.splitlines():
        if re.search(r': (fatal error|error|warning): ', line) and message:
            yield message
            message = []
        if not re.match(r'In file included|\s+from ', line):
            message.append(line)
    if message:
        yield message


def include(*names):
    return ''.join(f'#include {name}\n' for name in names)


def alone(path):
    for message in compiler_says(include(f'"{path}"')):
        yield message[0]


def beside(foreign, ours):
    """Finds names that both our headers and a foreign header define; ignores
    clashes between foreign headers.

    It includes <netinet/in.h> first, because the kernel's headers avoid clashes
    only with that header, and only if it comes first.
    """
    def quarrels(*names):
        return [message for message in
                compiler_says(include('<netinet/in.h>', *names))
                if not all(line.startswith('/usr/') for line in message)]

    mine = [f'"{path}"' for path in ours]
    for message in quarrels(f'<{foreign}>', *mine) + \
            quarrels(*mine, f'<{foreign}>'):
        yield f'<{foreign}>: {message[0]}'


def each(check, texts):
    return [problem for path, text in texts.items()
            for problem in check(path, text)]


def parallel(check, items):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [problem for problems in pool.map(
            lambda item: list(check(item)), items) for problem in problems]


def comment_ratio(texts):
    """Counts lines that have only a comment, and lines with code."""
    comments = code = 0
    for text in texts.values():
        inside = False
        for line in text.splitlines()[1:]:
            line = line.strip()
            inside = inside or line.startswith('/*')
            if inside or line.startswith('//'):
                comments += 1
            elif line:
                code += 1
            inside = inside and '*/' not in line
    return comments, code


def main():
    texts = {path: guard.read(path) for path in guard.product('.c', '.h')}
    headers = {path: text for path, text in texts.items()
               if path.endswith('.h')}
    found = functions(texts)

    guard.check(f'no line has more than {COLUMNS} columns',
                each(wide_lines, texts))
    guard.check(f'files have less than {FILE} lines', each(long_files, texts))
    guard.check(f'functions have less than {FUNCTION} lines',
                long_functions(found))
    guard.check('static functions have names of two words', short_names(found))
    guard.check('no two files have a function of one name',
                shared_names(found))
    guard.check('no head of a file lists calls', each(heads, texts))
    guard.check('guards of headers are named after their paths',
                each(header_guards, headers))
    guard.check('every header compiles alone', parallel(alone, headers))
    guard.check('no name of ours is one of libc or the kernel',
                parallel(lambda foreign: beside(foreign, headers), FOREIGN))
    comments, code = comment_ratio(texts)
    print(f'# {comments} lines of comment, {code} of code: '
          f'{100 * comments // code} %; {len(found)} functions')
    guard.done()


if __name__ == '__main__':
    main()
