#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""demo.py - Tests the demo: with qemu, with the stand-in guest, when it is
interrupted, and with --keep. The demo itself draws its topology.

Each run gets its own folder for temporary files, and must leave it empty.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import netlab                                               # noqa: E402
from netlab import TOP, check, expect                       # noqa: E402

LIMIT = 300                     # s, for one run
SHOWN = ("address", "route", "name server", "lookup", "ping", "page fetched",
         "page served", "speed out", "speed in")


class Demo:
    """One run of the demo, in a new session, so that it gets signals as from
    a terminal."""

    def __init__(self, *options):
        self.tmp = tempfile.mkdtemp(prefix="passt-demo-test-")
        os.chmod(self.tmp, 0o755)       # passt uses it as another user
        self.process = subprocess.Popen(
            [f"{TOP}/demo", *options], stdout=subprocess.PIPE, text=True,
            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            start_new_session=True, env=dict(os.environ, TMPDIR=self.tmp))
        self.said = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Kills remaining processes by pid."""
        self.process.kill()
        self.process.wait()
        for pid in self.leftover():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.tmp, ignore_errors=True)

    def leftover(self):
        """Pids of all processes of this run, which have its TMPDIR."""
        pids = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), \
                    open(f"/proc/{pid}/environ", "rb") as f:
                if f"TMPDIR={self.tmp}".encode() in f.read().split(b"\0"):
                    pids.append(int(pid))
        return pids

    def until(self, text):
        """Reads the demo's output until a line has @text."""
        for line in self.process.stdout:
            self.said += line
            if text in line:
                return
        raise AssertionError(f"{text!r} never came: {self.said[-500:]}")

    def end(self):
        """Waits for the end. Returns the exit status."""
        out, _ = self.process.communicate(timeout=LIMIT)
        self.said += out
        return self.process.returncode

    def leaves_nothing(self):
        expect("processes left", self.leftover(), [])
        expect("files left", os.listdir(self.tmp), [])


def shows_all(demo):
    """Fails unless the demo prints all lines of its steps, and all are good."""
    status = demo.end()
    bad = [line for line in demo.said.splitlines() if line.startswith("  --")]
    expect("bad lines", bad, [])
    expect("exit status", status, 0)
    for what in SHOWN:
        for family in "IPv4", "IPv6":
            if not re.search(f"^  ok  {what}, {family} +[^ ]", demo.said,
                             re.M):
                raise AssertionError(f"nothing on {what}, {family}")
    good, steps = re.search(r"(\d+) of (\d+) good", demo.said).groups()
    expect("number of good lines", good, steps)


def forwards(demo):
    """Fails unless the demo has printed how many ports passt forwards."""
    if not re.search(r"^  ok  passt +.*; forwards ports: TCP [1-9][\d,]*"
                     r"( of [\d,]+)?, UDP [1-9][\d,]*( of [\d,]+)?$",
                     demo.said, re.M):
        raise AssertionError("no numbers of ports: " + " ".join(
            re.findall("^.*forwards.*$", demo.said, re.M)))


def whole():
    with Demo() as demo:
        with check("in qemu, every line is good"):
            shows_all(demo)
            expect("guest", "A namespace stands in" not in demo.said, True)
        with check("in qemu, it says how many ports are forwarded"):
            forwards(demo)
        with check("in qemu, nothing is left"):
            demo.leaves_nothing()


def stand_in_kept():
    """Given --keep, then all programs keep running, and the command that the
    demo prints ends them."""
    if os.geteuid() and not os.access("/dev/net/tun", os.W_OK):
        print("skip with the stand-in guest: /dev/net/tun is root's alone")
        return
    with Demo("--stand-in", "--keep") as demo:
        with check("with the stand-in guest, every line is good"):
            shows_all(demo)
            expect("told so", "A namespace stands in" in demo.said, True)
        with check("--keep: passt and the guest run on"):
            inside, = re.findall(r"in the guest +(nsenter .*) sh$", demo.said,
                                 re.M)
            subprocess.run([*inside.split(), "ping", "-c1", "-W5",
                            "198.51.100.1"], check=True,
                           stdout=subprocess.DEVNULL)
        with check("--keep: ended by the command it tells"):
            command, = re.findall(r"end it all +(.*)", demo.said)
            subprocess.run(command, shell=True, check=True)
            time.sleep(1)
            demo.leaves_nothing()


def interrupted():
    """Given Ctrl-C while a guest boots, then no process and no file is left."""
    with Demo() as demo, check("Ctrl-C cleans up"):
        demo.until("  passt  ")
        time.sleep(1)
        os.killpg(demo.process.pid, signal.SIGINT)
        expect("exit status", demo.end(), 130)
        demo.leaves_nothing()


def refused():
    with Demo("--stand-im") as demo, check("an unknown option"):
        expect("exit status", demo.end(), 1)
        expect("what it says", demo.said,
               "demo: unknown option '--stand-im': see ./demo --help\n")


if __name__ == "__main__":
    for story in whole, stand_in_kept, interrupted, refused:
        story()
    sys.exit(1 if netlab.failed else 0)
