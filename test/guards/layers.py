#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Checks that calls and includes between files are those of doc/layers.

An arrow is (from, to, why): the file @from refers to the file @to, by @why,
a symbol or an #include.
"""

import os
import re
import subprocess
import tempfile

import guard

LEAVES = 'leaves'


class Layers:
    """The content of doc/layers."""

    def __init__(self, text):
        self.module = {}        # name -> the first name of its module
        self.order = []         # modules from top to bottom
        self.calls = {}         # module -> modules that it may call
        self.leaves = []
        self.excepted = {}      # (file, file) -> reason
        self.problems = []
        for line in text.splitlines():
            line = line.strip()
            if line and not line.startswith('#'):
                self.read_line(line)
        self.resolve()

    def read_line(self, line):
        if line == LEAVES:
            self.leaves = [None]        # modules from here on are leaves
            return
        match = re.fullmatch(r'except (\S+) -> (\S+): (.+)', line)
        if match:
            self.excepted[match[1], match[2]] = match[3]
            return
        names, _, calls = line.partition(':')
        names = names.split()
        for name in names:
            self.module[name] = names[0]
        self.order.append(names[0])
        self.calls[names[0]] = calls.split()
        if self.leaves:
            self.leaves.append(names[0])

    def resolve(self):
        """Replaces the names after each colon by modules, which must all be
        further down."""
        self.leaves = self.leaves[1:]
        for rank, module in enumerate(self.order):
            named = self.calls[module]
            if LEAVES in named:
                named = [x for x in named if x != LEAVES] + self.leaves
            self.calls[module] = set()
            for name in named:
                target = self.module.get(name)
                if target is None:
                    self.problems.append(f'{module}: no module {name}')
                elif self.order.index(target) <= rank:
                    self.problems.append(f'{module}: {name} is not below it')
                else:
                    self.calls[module].add(target)

    def module_of(self, path):
        """The module of a file, None if there is none."""
        name = os.path.splitext(path)[0]
        while name:
            if name in self.module:
                return self.module[name]
            name = os.path.dirname(name)
        return None

    def forbids(self, arrow):
        source, target, _ = arrow
        a, b = self.module_of(source), self.module_of(target)
        return (a != b and b not in self.calls.get(a, ()) and
                (source, target) not in self.excepted)


def calls(objects):
    """Finds arrows between object files.

    @objects: source path -> path of its object file
    """
    source = {obj: path for path, obj in objects.items()}
    home, wanted = {}, []
    for line in guard.output('nm', '-gA', *source).splitlines():
        obj, _, entry = line.partition(':')
        *_, kind, name = entry.split()
        if kind in 'Uvw':
            wanted.append((source[obj], name))
        elif name != 'main':
            home[name] = source[obj]
    return [(path, home[name], name) for path, name in sorted(wanted)
            if home.get(name, path) != path]


def includes(path, text):
    return [(path, name, '#include')
            for name in re.findall(r'^#include "([^"]+)"', text, re.M)]


def show(arrows):
    return [f'{a} -> {b}: {why}' for a, b, why in arrows]


def circles(arrows, excepted):
    """Finds files that call one another in a circle: repeatedly removes files
    that call none or that none calls."""
    edges = {(a, b) for a, b, _ in arrows} - set(excepted)
    while True:
        callers = {a for a, _ in edges}
        called = {b for _, b in edges}
        left = {(a, b) for a, b in edges if a in called and b in callers}
        if left == edges:
            return [f'{a} -> {b}: in a circle' for a, b in sorted(edges)]
        edges = left


def forged(layers, objects):
    """Adds two forbidden arrows. Yields those that the checks do not find."""
    with tempfile.TemporaryDirectory() as folder:
        obj = os.path.join(folder, 'forged.o')
        subprocess.run(['cc', '-x', 'c', '-c', '-o', obj, '-'], check=True,
                       text=True, input='void tcp_init(void);\n'
                       'void forged(void);\nvoid forged(void) '
                       '{ tcp_init(); }\n')
        arrows = calls({**objects, 'link/forged.c': obj})
    arrows += includes('tcp/forged.c', '#include "link/stream.h"\n')
    found = show(filter(layers.forbids, arrows))
    for arrow in ('link/forged.c -> tcp.c: tcp_init',
                  'tcp/forged.c -> link/stream.h: #include'):
        if arrow not in found:
            yield f'nothing was said of {arrow}'


def main():
    layers = Layers(guard.read('doc/layers'))
    sources = guard.product('.c', '.h')
    objects = {path: os.path.join(guard.B, path[:-1] + 'o')
               for path in sources if path.endswith('.c')}
    between = calls(objects)
    included = [arrow for path in sources
                for arrow in includes(path, guard.read(path))]
    homes = {path: layers.module_of(path) for path in sources}
    missing = [f'{path}: no module' for path in sources if not homes[path]]
    empty = [f'{name}: no file' for name in layers.module
             if not any(path.startswith((name + '.', name + '/'))
                        for path in sources)]
    used = {(a, b) for a, b, _ in between + included}
    stale = [f'{a} -> {b}: an exception for nothing'
             for a, b in layers.excepted if (a, b) not in used]

    guard.check('doc/layers is complete, and every arrow points down',
                layers.problems + missing + empty + stale)
    guard.check('no call goes where doc/layers has no arrow',
                show(filter(layers.forbids, between)))
    guard.check('no header is included from where doc/layers has no arrow',
                show(filter(layers.forbids, included)))
    guard.check('no files call one another in a circle',
                circles(between, layers.excepted))
    guard.check('a forged arrow is found', forged(layers, objects))
    guard.done()


main()
