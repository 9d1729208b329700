# SPDX-License-Identifier: AGPL-3.0-or-later
"""Functions for all guards: list files, run commands, report checks."""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.path.join(TOP, os.environ.get('B', 'build'))
failed = False


def output(*command):
    """Runs a command, which must succeed. Returns its output."""
    return subprocess.run(command, cwd=TOP, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def read(path):
    with open(os.path.join(TOP, path), encoding='utf-8') as file:
        return file.read()


def tracked():
    """Paths of all files that git tracks and that exist."""
    return [path for path in output('git', 'ls-files').splitlines()
            if os.path.exists(os.path.join(TOP, path))]


def product(*suffixes):
    """The files of the product with one of these suffixes."""
    return [path for path in tracked()
            if path.endswith(suffixes) and not path.startswith('test/')]


def check(name, problems):
    """Prints a check's result. It passes if @problems, texts, is empty."""
    global failed
    problems = list(problems)
    if not problems:
        print(f'ok {name}')
        return
    failed = True
    for problem in problems:
        print(f'  {problem}')
    print(f'not ok {name}: {problems[0]}, {len(problems)} in all')


def done():
    sys.exit(failed)
