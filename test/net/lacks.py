#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""lacks.py - Starts passt on a host that lacks something.

    this program ==socket== passt + fault/interpose.c ---- this program

The host lacks one call of the kernel or one option of sockets, from before the
start on; or a call fails only during the start; or the process may have few
descriptors or little memory. passt must either start and serve, or exit with
status 1, after one line that says why.

FAULT=N tries N faults of each kind, which SEED chooses; FAULT=all tries all of
them.
"""

import collections
import contextlib
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "fault"))
import calls  # noqa: E402
import scenario  # noqa: E402
from calls import ANY  # noqa: E402
from netlab import (Lab, Process, SANITIZED, Skip, check, expect,  # noqa: E402
                    main)
from scenario import Peers, Scenario  # noqa: E402

HOW_MANY = os.environ.get("FAULT", "25")
SEED = int(os.environ.get("SEED", 1))
ONLY = os.environ.get("FAULT_ONLY", "")
MIB = 1 << 20
# Every limit of descriptors with FAULT=all, some otherwise.
LIMITS = range(24, 257) if HOW_MANY == "all" else (
    24, 25, 26, 27, 28, 30, 32, 36, 40, 48, 64, 128, 256)
# MiB. With less, the loader can't map libc.
MEMORY = (12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
REMEDY = "raise the limit"      # in messages about descriptors
# Starts that once did not end well: these are always tried.
FOUND = r"mmap at map_buffer .* ENOMEM once"
# Errors at the start, beside those that calls.py has for the event loop.
AT_START = """
chdir         EACCES ENOMEM
dup2          EBUSY EINTR EMFILE
epoll_create1 EMFILE ENFILE ENOMEM
flock         EINTR ENOLCK EWOULDBLOCK
getpeername   ENOBUFS ENOTCONN
inotify_init1 EMFILE ENFILE ENOMEM
listen        EADDRINUSE EOPNOTSUPP
prctl         EINVAL EPERM
setresgid     EAGAIN EPERM
setresuid     EAGAIN EPERM
signalfd      EMFILE ENFILE ENODEV ENOMEM
syscall       EINTR ENOMEM EPERM
timerfd_create EMFILE ENFILE ENODEV ENOMEM
timerfd_settime EINVAL
unlink        EACCES ENOENT EROFS
"""
# Calls that each kernel has on which passt can run (Linux 3.17), or with which
# a kernel is not one.
BASIC = """
accept4 bind calloc chdir close connect dup2 epoll_create1 epoll_ctl epoll_wait
fchdir fcntl fstat fstatat getpeername getrandom getsockname ioctl listen lstat
malloc mmap munmap open openat poll prctl read readlink readlinkat realloc recv
recvmmsg recvmsg send sendmmsg sendmsg setresgid setresuid shutdown signalfd
socket unlink unlinkat write writev
"""
BASIC_OPTIONS = {(1, 3), (1, 4), (1, 2), (1, 7), (1, 8), (1, 13), (1, 20)}


class Trial:
    """Starts of passt, each with something that is missing."""

    def __init__(self, lab):
        self.lab = lab
        self.orders = calls.Orders(lab)
        self.peers = Peers(lab, 1)
        self.outcomes = collections.Counter()
        self.said = {}

    def start(self, options=scenario.OPTIONS_OF_PASST, **kw):
        """Starts passt, and waits until it serves or has ended. Returns its
        Popen."""
        kw.setdefault("env", self.orders.env)
        p = self.lab.passt(*options, wait=False, **kw)
        process = Process(p.pid)
        end = time.monotonic() + 10
        while p.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                if process.started():
                    break
            time.sleep(0.002)
        return p

    def attempt(self, name, steps=scenario.ESSENTIAL, **kw):
        """Fails unless passt serves after all, or says why it does not start.
        Returns the steps of the scenario that fail, or None."""
        p = self.start(**kw)
        try:
            if p.poll() is not None:
                self.refused(name, p)
                return None
            guest = Scenario(self.lab, self.peers, 0.1)
            failed = guest.run()
            try:
                guest.works(steps)
            except AssertionError:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    p.wait(0.5)             # after its signalfd was open
                    self.refused(name, p)
                    return None
                if REMEDY not in self.lab.messages():
                    raise
                self.outcomes["says what it lacks"] += 1
            p.send_signal(signal.SIGTERM)
            expect("exit status after SIGTERM", p.wait(5), 0)
            self.outcomes["starts"] += 1
            return failed
        finally:
            if p.poll() is None:
                p.kill()
                p.wait()
            self.orders.stop()
            self.peers.clear()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.lab.socket)

    def refused(self, name, p):
        """Fails unless passt has ended as it should: with one line, the last
        one. What it tells about a start that is almost over may come before."""
        lines = self.lab.messages().splitlines()
        errors = [line for line in lines if line.startswith("passt: ")]
        if p.returncode != 1 or lines[-1:] != errors:
            raise AssertionError(f"exit status {p.returncode}, having said "
                                 f"{lines}")
        self.outcomes["one line"] += 1
        self.said[name] = errors[0]

    def each(self, kind, trials):
        """Tries all; @trials: (name, function that tries it)."""
        wrong, start = [], time.monotonic()
        for name, attempt in trials:
            if ONLY and not re.search(ONLY, name):
                continue
            try:
                failed = attempt(name)
                if failed:
                    print(f"# {kind}: {name}: {failed}", flush=True)
            except Exception as e:
                wrong.append(f"{name}: {e}")
                print(f"# {kind}: {wrong[-1]}", flush=True)
        for name, line in self.said.items():
            print(f"# {kind}: {name}: {line}", flush=True)
        print(f"# {kind}: {sum(self.outcomes.values())} tried: "
              f"{dict(self.outcomes)}; {len(wrong)} wrong; "
              f"{time.monotonic() - start:.1f} s", flush=True)
        self.outcomes.clear()
        self.said.clear()
        expect("wrong", wrong, [])


def some(trials):
    """Those of the trials that FAULT and SEED select."""
    if HOW_MANY == "all" or len(trials) <= int(HOW_MANY):
        return trials
    return [trial for trial in trials if re.search(FOUND, trial[0])] + \
        random.Random(SEED).sample(trials, int(HOW_MANY))


def all_calls(trial):
    """All calls that passt makes, with their options, and all places of its
    start."""
    trial.orders.forget()
    p = trial.start()
    places = list(trial.orders.sites())
    expect("steps that fail", Scenario(trial.lab, trial.peers, 1).run(), [])
    p.send_signal(signal.SIGTERM)
    expect("exit status", p.wait(5), 0)
    return trial.orders.variants(), places


def old_kernels(trial, variants):
    """Given a kernel without a call or an option, then passt serves."""
    def lacking(call, level, option):
        error = "ENOPROTOOPT" if call.endswith("sockopt") else "ENOSYS"
        def attempt(name):
            trial.orders.fail(call, error, ANY, 0, ANY, level, option)
            return trial.attempt(name)
        return attempt
    trials = [(f"{call} {level} {option}" if level != ANY else call,
               lacking(call, level, option)) for call, level, option in variants
              if call not in BASIC.split()
              and (level, option) not in BASIC_OPTIONS]
    with check("a kernel that lacks one call or option"):
        trial.each("lacks", trials)


def failing_start(trial, places):
    """Given a call that fails during the start, then passt serves, or says
    why not."""
    errors = calls.errors()
    errors.update(calls.errors(AT_START))
    errors["socket"].remove("EAFNOSUPPORT")     # it would not come and go

    def failing(call, site, error, times):
        def attempt(name):
            trial.orders.fail(call, error, times, 0, site)
            trial.attempt(name)
        return attempt
    trials = [(f"{call} at {trial.orders.place(site)}: {error} {how}",
               failing(call, site, error, times))
              for call, site in sorted(places)
              for error in errors.get(call, ())
              for how, times in (("once", 1), ("thrice", 3))]
    with check("a call fails during the start"):
        trial.each("start", some(trials))


def limited(trial):
    """Given few descriptors, or little memory, then passt serves, or says
    how many it needs."""
    def limit(what, number, **kw):
        def attempt(name):
            def set_limit():
                resource.setrlimit(what, (number, number))
            trial.attempt(name, preexec_fn=set_limit, **kw)
        return attempt
    few = resource.RLIMIT_NOFILE
    with check("few descriptors"):
        trial.each("descriptors", [(f"{n} descriptors", limit(few, n))
                                   for n in LIMITS])
    with check("few descriptors, and no forwarded port"):
        trial.each("descriptors, no port", [
            (f"{n} descriptors", limit(few, n, options=(),
                                       steps=scenario.OUTBOUND))
            for n in LIMITS])
    with check("little memory"):
        trial.each("memory", [
            (f"{n} MiB", limit(resource.RLIMIT_AS, n * MIB)) for n in MEMORY])


def story():
    if SANITIZED:
        with check("a host lacks something"):
            raise Skip("a sanitizer has its own malloc()")
        return
    scenario.private_etc()
    with Lab() as lab:
        trial = Trial(lab)
        with check("nothing is lacking"):
            variants, places = all_calls(trial)
        old_kernels(trial, variants)
        limited(trial)
        failing_start(trial, places)


if __name__ == "__main__":
    main(story)
