#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks that what documents say about the source is true.

A document gives the value of a constant in parentheses after its name in
backticks:

    `TCP_BULK` (32 KiB)     `TCP_IDLE` (2 h)    `UDP_BATCH` (64)

The value is a number, with or without a unit: KiB or MiB for bytes; ms, s, min
or h for times, which are in milliseconds in the source.

A document names a function as `name()` in backticks, or after its file, in
italics:

    *tcp/socket.c: write_payload(); tcp.c: tcp_pass_end()*

A path is in backticks; a word of capitals in it stands for any name. A name
without a folder may be that of a file in any folder.

A document names a check of a test after the test's file, in quotes:

    `test/unit/virtqueue.c`: "a chain that is a loop", "a loop in a table"

If the first column of a table has files of one folder, it must have all files
of that folder.

A line of text has at most 100 columns. Tables, code and comments may be wider.
"""

import fnmatch
import os
import re
import shutil
import subprocess

import guard
from style import functions

COLUMNS = 100
UNITS = {'': 1, 'bytes': 1, 'KiB': 1 << 10, 'MiB': 1 << 20, 'million': 10 ** 6,
         'ms': 1, 's': 1000, 'min': 60000, 'h': 3600000}
STATED = re.compile(r'`([A-Z][A-Z0-9_]+)`\s+\((\d[^)]*)\)')
DEFINED = re.compile(r'^#define[ \t]+([A-Z][A-Z0-9_]+)[ \t]+(?:\\\n|.)+', re.M)


def number(words):
    """Parses a value such as '32 KiB'. Returns None if it is not valid."""
    match = re.fullmatch(r'(\d{1,3}(?:,\d{3})+|\d+)(?:\s+(\w+))?', words)
    if not match or (match[2] or '') not in UNITS:
        return None
    return int(match[1].replace(',', '')) * UNITS[match[2] or '']


def definitions(sources):
    """Returns a dictionary: constant -> paths of the files that define it."""
    where = {}
    for path, text in sources.items():
        for match in DEFINED.finditer(text):
            where.setdefault(match[1], []).append(path)
    return where


def values(path, text, names):
    """Compiles and runs a program that prints the constants of a file. Returns
    their values."""
    lines = [f'#include "{path}"'] if path.endswith('.h') else \
        re.findall(r'^#include .*', text, re.M) + \
        [match[0] for match in DEFINED.finditer(text)]
    lines += ['#include <stdio.h>', 'int main(void) {']
    lines += [f'printf("{name} %lld\\n", (long long)({name}));'
              for name in names]
    program = os.path.join(guard.B, 'test', 'constants')
    os.makedirs(os.path.dirname(program), exist_ok=True)
    subprocess.run(['gcc', '-D_GNU_SOURCE', '-I.', '-w', '-x', 'c', '-o',
                    program, '-'], cwd=guard.TOP, check=True, text=True,
                   input='\n'.join(lines + ['}\n']))
    return {name: int(value) for name, value in
            (row.split() for row in guard.output(program).splitlines())}


def stated(documents):
    for path, text in documents.items():
        for match in STATED.finditer(text):
            yield path, match[1], ' '.join(match[2].split())


def constants(documents, sources):
    where = definitions(sources)
    wanted, known = {}, {}
    for path, name, words in stated(documents):
        if len(where.get(name, ())) == 1:
            wanted.setdefault(where[name][0], set()).add(name)
    for path, names in wanted.items():
        known.update(values(path, sources[path], sorted(names)))
    for path, name, words in stated(documents):
        if name not in known:
            yield (f'{path}: {name} is defined in '
                   f'{where.get(name) or "no file"}')
        elif number(words) is None:
            yield f'{path}: {name} ({words}): that is no number with a unit'
        elif number(words) != known[name]:
            yield f'{path}: {name} ({words}) is {known[name]} in the source'


def libc_names():
    libc = guard.output('gcc', '-print-file-name=libc.so.6').strip()
    return {line.split()[-1].partition('@')[0]
            for line in guard.output('nm', '-D', libc).splitlines()}


def named_functions(documents, homes):
    """Finds functions in backticks that neither we nor libc define."""
    macros = set(re.findall(r'^#define\s+(\w+)\(', guard.output(
        'git', 'grep', '-hE', r'^#define\s+\w+\(', '--', '*.h'), re.M))
    known = set(homes) | libc_names() | macros | {'assert'}
    for path, text in documents.items():
        for name in re.findall(r'`(\w+)\(\)`', text):
            if name not in known:
                yield f'{path}: {name}(): no such function'


def references(text):
    """Yields (file, functions) of texts like '*a.c: f(), g(); b.c*'."""
    for block in re.findall(r'(?<![*\w])\*([^*`]+?)\*(?![*\w])', text):
        if not re.search(r'\.[ch]\b', block):
            continue
        for part in re.split(r'[;,]\s+(?=[\w/]+\.[ch])', block):
            file, _, names = part.partition(':')
            yield file.strip(), re.findall(r'(\w+)\(\)', names)


def located(documents, homes, files):
    """Finds functions in italics that are not in the file in front of them."""
    for path, text in documents.items():
        for file, names in references(text):
            if file not in files:
                yield f'{path}: {file}: no such file'
            for name in names:
                if file not in homes.get(name, ()):
                    yield f'{path}: {file}: {name}(): it is not there'


def exists(name, files):
    """Whether there is a file or a folder of this name."""
    name = re.sub(r'\b[A-Z]{4,}\b', '*', name.rstrip('/'))
    if '/' not in name:
        return bool(fnmatch.filter(map(os.path.basename, files), name)) or \
            any(path.startswith(name + '/') for path in files)
    return any(fnmatch.fnmatch(path, name) or path.startswith(name + '/')
               for path in files)


def paths(documents, files):
    for path, text in documents.items():
        for name in re.findall(r'`([\w.*-]+/[\w./*-]*|[\w-]+\.[ch])`', text):
            if not exists(name, files) and not name.startswith('build/'):
                yield f'{path}: {name}: no such file'
        for link in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', text):
            target = os.path.normpath(os.path.join(os.path.dirname(path),
                                                   link))
            if not os.path.exists(os.path.join(guard.TOP, target)):
                yield f'{path}: a link to {link}'


def named_checks(documents):
    """Finds checks that a document names, and that are not in their test: the
    test has neither the name as text, nor a function of that name."""
    for path, text in documents.items():
        for file, names in re.findall(r'`(test/[\w./-]+)`:((?:,?\s"[^"]+")+)',
                                      text):
            source = guard.read(file)
            for name in re.findall(r'"([^"]+)"', names):
                name = ' '.join(name.split())
                if name not in source and \
                        f'def {name.replace(" ", "_")}(' not in source:
                    yield f'{path}: {file}: "{name}": no such check'


def anchors(documents):
    """Finds links to headings that the document does not have."""
    for path, text in documents.items():
        slugs = {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-')
                 for title in re.findall(r'^#+ (.*)', text, re.M)}
        for anchor in re.findall(r'\]\(#([^)]+)\)', text):
            if anchor not in slugs:
                yield f'{path}: #{anchor}: no such heading'


def tables(text):
    """Yields the paths in the first column of each table that has paths
    there."""
    for table in re.findall(r'(?:^\|.*\n)+', text, re.M):
        cells = [row.split('|')[1] for row in table.splitlines()[2:]]
        found = [re.fullmatch(r' *`([\w./-]+)` *', cell) for cell in cells]
        if found and all(found):
            yield [match[1] for match in found]


def complete(documents, files):
    """Finds files and folders that are missing in tables of their folder."""
    for path, text in documents.items():
        for names in tables(text):
            places = [os.path.dirname(name) for name in names if '/' in name]
            if not places:
                continue
            place = max(set(places), key=places.count) + '/'
            suffix = '.c' if names[0].endswith('.c') else ''
            there = {file if suffix else place + file[len(place):].split('/')[0]
                     for file in files if file.startswith(place) and
                     file.endswith(suffix) and (suffix or
                                                '/' in file[len(place):])}
            for file in sorted(there - set(names)):
                yield f'{path}: the table of {place} has no {file}'


def layout(text, files):
    """Finds files and folders at the top of the tree that are missing in the
    source layout of doc/design.md."""
    block = re.search(r'^```\n(passt\.c .*?)^```', text, re.M | re.S)
    if not block:
        yield 'doc/design.md: no source layout'
        return
    shown = set(re.findall(r'[\w.-]+/?', block[1]))
    for file in files:
        top, slash, _ = file.partition('/')
        if not slash and (not top.endswith(('.c', '.h')) or
                          top[:-1] + 'c' in shown):
            continue
        if top + slash not in shown:
            shown.add(top + slash)
            if not top.startswith('.') and top != 'LICENSES':
                yield f'doc/design.md: the source layout has no {top}{slash}'


def forged(sources, homes, files):
    """Checks a page that has one mistake of each kind. Yields the kinds that
    the checks above do not find."""
    page = {'forged.md': '`TCP_BULK` (31 KiB), `tcp_nothing()`, '
                         '`tcp/nothing.c`, *tcp.c: udp_init()*\n'
                         '`test/unit/conn.c`: "no check"\n'
                         '| | |\n|---|---|\n| `tcp/conn.c` | |\n' +
                         'long' * 26}
    for kind, seen in (('value', constants(page, sources)),
                       ('function', named_functions(page, homes)),
                       ('place', located(page, homes, files)),
                       ('path', paths(page, files)),
                       ('check', named_checks(page)),
                       ('table', complete(page, files)),
                       ('width', wide(page))):
        if not list(seen):
            yield f'a wrong {kind} was not seen'


def repeated(documents):
    """Finds lines that the two lines before already contain, as happens when
    a merge keeps two versions of a sentence."""
    for path, text in documents.items():
        lines = [line.strip() for line in text.splitlines()]
        for n, line in enumerate(lines):
            before = ' '.join(lines[max(0, n - 2):n])
            if len(line) > 24 and line[0] not in '|+' and line in before:
                yield f'{path}:{n + 1}: {line}'


def wide(documents):
    """Finds lines of text that are too long."""
    for path, text in documents.items():
        fenced = False
        for n, line in enumerate(text.splitlines(), 1):
            fenced ^= line.startswith('```')
            if len(line) > COLUMNS and not fenced and \
                    not line.startswith(('|', '  |', '    ', '<!--')):
                yield f'{path}:{n}: {len(line)} columns'


def mistakes(pages):
    """Warnings of mandoc, without those about references to other pages, which
    may not be installed."""
    return subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', *pages],
                          cwd=guard.TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout.splitlines()


def main():
    files = set(guard.tracked())
    documents = {path: guard.read(path) for path in sorted(files)
                 if path.endswith('.md')}
    sources = {path: guard.read(path) for path in guard.product('.c', '.h')}
    homes = {}
    for f in functions(sources):
        homes.setdefault(f.name, set()).add(f.path)

    guard.check('constants in documents are those of the source',
                constants(documents, sources))
    guard.check('functions in documents exist',
                named_functions(documents, homes))
    guard.check('functions in documents are in the file that is named',
                located(documents, homes, files))
    guard.check('files in documents exist', paths(documents, files))
    guard.check('checks in documents exist', named_checks(documents))
    guard.check('links into documents lead to headings', anchors(documents))
    guard.check('no line repeats the lines before it', repeated(documents))
    guard.check(f'no line of text has more than {COLUMNS} columns',
                wide(documents))
    guard.check('tables of files are complete', complete(documents, files))
    guard.check('the source layout is complete',
                layout(documents['doc/design.md'], sorted(files)))
    if shutil.which('mandoc'):
        guard.check('manual pages are without warnings of mandoc',
                    mistakes(sorted(path for path in files
                                    if re.fullmatch(r'doc/.*\.\d', path))))
    else:
        print('skip manual pages: needs mandoc')
    guard.check('a page with mistakes is found',
                forged(sources, homes, files))
    guard.done()


main()
