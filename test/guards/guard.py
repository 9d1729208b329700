# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the guards share: the product's files, and how a check is reported."""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.path.join(TOP, os.environ.get('B', 'build'))
failed = False


def output(*command):
    """What a command prints; it has to succeed."""
    return subprocess.run(command, cwd=TOP, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def read(path):
    with open(os.path.join(TOP, path), encoding='utf-8') as file:
        return file.read()


def tracked():
    """All files that git knows, as paths from the top."""
    return [path for path in output('git', 'ls-files').splitlines()
            if os.path.exists(os.path.join(TOP, path))]


def product(*suffixes):
    """The files of the product with one of these suffixes."""
    return [path for path in tracked()
            if path.endswith(suffixes) and not path.startswith('test/')]


def check(name, problems):
    """Report a check; what is wrong is a line each, nothing if all is well."""
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
