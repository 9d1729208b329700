#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks that the programs in $B are hardened as the Makefile wants.

Most checks are about the programs themselves. What leaves no trace there is
checked in the options of the compiler, which gcc records in the debug
information of each object file. Without such information, as for clang, those
two checks have nothing to say. test/build runs this guard for arm64, too.
"""

import os
import re

import guard

PROGRAMS = ('passt', 'qrap')
# gcc has these, and they leave no trace of their own.
RECORDED = ('-fstack-clash-protection', '-ftrivial-auto-var-init=zero')
# Machine -> what the linker must find in each object file, and that the
# program must say if libc says it, too.
BRANCHES = {'Advanced Micro Devices X86-64': ('IBT', 'SHSTK'),
            'AArch64': ('BTI', 'PAC')}


def elf(path, *what):
    return guard.output('readelf', '-W', *what, path)


def segments(path):
    """The program headers: (type, flags such as 'RE')."""
    return [(m[1], m[2].replace(' ', '')) for m in re.finditer(
        r'^ +([A-Z_]+) +(?:0x\w+ +){5}([RWE ]{3}) +0x', elf(path, '-l'), re.M)]


def program(path):
    """Yields what is wrong with a program."""
    found, dynamic = segments(path), elf(path, '-d')
    kinds = [kind for kind, _ in found]
    symbols = elf(path, '--dyn-syms')
    if not re.search(r'FLAGS_1.*\bPIE\b', dynamic):
        yield 'its address is fixed'
    if 'GNU_RELRO' not in kinds or not re.search(r'BIND_NOW|\bNOW\b', dynamic):
        yield 'the table of libc functions stays writable'
    if ('GNU_STACK', 'RW') not in found:
        yield 'the stack may be executable'
    if any('W' in flags and 'E' in flags for _, flags in found):
        yield 'a segment is writable and executable'
    if [flags for kind, flags in found if kind == 'LOAD'][:3] != \
            ['R', 'RE', 'R']:
        yield 'code shares pages with headers or data'
    if '__stack_chk_fail' not in symbols:
        yield 'no function checks its stack'
    if '__snprintf_chk' not in symbols and '__vsnprintf_chk' not in symbols:
        yield 'no call checks the size of its buffer'


def branches(path):
    """What an object file says of the targets of branches."""
    wanted = next((names for machine, names in BRANCHES.items()
                   if machine in elf(path, '-h')), ())
    said = re.search(r'feature: (.*)', elf(path, '-n'))
    said = said[1].split(', ') if said else []
    return [f'no {name}' for name in wanted if name not in said]


def recorded(path):
    """Which options a file was compiled without."""
    for options in re.findall(r'DW_AT_producer.*: (GNU C\d.*)',
                              elf(path, '--debug-dump=info', '--dwarf-depth=1')):
        for option in RECORDED:
            if option not in options:
                yield f'compiled without {option}'


def each(check, paths):
    return [f'{os.path.relpath(path, guard.B)}: {problem}' for path in paths
            for problem in check(path)]


def main():
    programs = [os.path.join(guard.B, name) for name in PROGRAMS]
    objects = [os.path.join(guard.B, path[:-1] + 'o')
               for path in guard.product('.c')]
    guard.check('programs are hardened', each(program, programs))
    guard.check('code only lets branches go where it expects them',
                each(branches, objects))
    guard.check('objects have the options that leave no trace',
                each(recorded, objects))
    guard.done()


if __name__ == '__main__':
    main()
