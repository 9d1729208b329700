# SPDX-License-Identifier: AGPL-3.0-or-later
"""Starts passt, and observes its process."""
import os
import re
import signal
import subprocess
import tempfile
import time


PROGRAM = os.path.abspath(os.environ.get("PASST") or os.path.join(
    os.path.dirname(__file__), "../../../build/passt"))
OUR_MAC = "9a:55:9a:55:9a:55"
# Multiplies all timeouts, for sanitizers and loaded machines.
SLOW = float(os.environ.get("WIRE_SLOW", 1))
# The link between passt and its guests: the stream, or virtqueues.
VHOST = os.environ.get("WIRE_LINK") == "vhost-user"


class Failure(Exception):
    """A test failed; the message says why."""


class Passt:
    """A passt in the foreground, with its own socket and log."""

    def __init__(self, *options, extra=("-f",), socket_path=None):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="wire.")
        os.chmod(self.dir, 0o777)
        self.path = socket_path or os.path.join(self.dir, "s")
        self.errfile = os.path.join(self.dir, "stderr")
        opts = [*extra, *(["--vhost-user"] if VHOST else [])]
        if socket_path != "":
            opts += ["-s", self.path]
        self.mac = OUR_MAC
        for i, o in enumerate(options):
            if o in ("-M", "--mac-addr"):
                self.mac = options[i + 1]
        with open(self.errfile, "wb") as err:
            self.proc = subprocess.Popen(
                [PROGRAM, *opts, *options], stdin=subprocess.DEVNULL,
                stdout=err, stderr=err)

    @property
    def pid(self):
        return self.proc.pid

    def wait_ready(self):
        """Waits until its socket exists."""
        end = time.monotonic() + 10 * SLOW
        while not os.path.exists(self.path):
            if self.proc.poll() is not None:
                raise Failure(f"passt {' '.join(self.options)} ended with "
                              f"{self.proc.returncode}: {self.log()[-400:]}")
            if time.monotonic() > end:
                raise Failure("passt made no socket")
            time.sleep(0.01)
        return self

    def log(self):
        with open(self.errfile, errors="replace") as f:
            return f.read()

    def counter(self, name):
        """Makes passt log its counters. Returns the value of one."""
        marks = self.log().count("counters: flows")
        self.proc.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 5 * SLOW
        while self.log().count("counters: flows") == marks:
            if time.monotonic() > end:
                raise Failure("no counters in the log")
            time.sleep(0.02)
        time.sleep(0.1)
        last = self.log().rpartition("counters: flows")[2]
        found = re.search(rf"counters: {name} (\d+)", last)
        return int(found[1]) if found else 0

    def alive(self):
        return self.proc.poll() is None

    def cpu(self):
        """Seconds of processor time used so far."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        """Resident memory in KiB."""
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise Failure("no VmRSS")

    def fds(self):
        """Number of open descriptors; None if we may not read that."""
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            return None

    def stop(self):
        """Ends passt. Returns its exit status, negative for a signal."""
        if self.alive():
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(5 * SLOW)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                return -signal.SIGKILL
        return self.proc.returncode

    def cleanup(self):
        if self.alive():
            self.proc.kill()
            self.proc.wait()
        for name in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, name))
        os.rmdir(self.dir)
