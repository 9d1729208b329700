#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""fault.py - Makes each call of passt fail, in each place, with each error.

    this program ==socket== passt + fault/interpose.c ---- this program

A guest goes through all protocols (fault/scenario.py) while a call fails: once,
three times, or for ever. passt may fail to do what the guest or a peer wanted,
but it must not end, nor change data, nor use a CPU, nor log without bound; and
when the call succeeds again, it must serve everybody, and hold no descriptor
and no memory more than before.

FAULT=N tries N faults of each group, which SEED chooses; FAULT=all tries all of
them, and prints a table. FAULT_ONLY is an expression that the name of a fault
must match.
"""

import collections
import contextlib
import os
import random
import re
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "fault"))
import calls  # noqa: E402
import scenario  # noqa: E402
from calls import ANY  # noqa: E402
from netlab import (HOST4, HOST6, Lab, SANITIZED,  # noqa: E402
                    Skip, check, expect, main, rests)
from scenario import Health, Peers, Scenario  # noqa: E402

HOW_MANY = os.environ.get("FAULT", "25")
SEED = int(os.environ.get("SEED", 1))
ONLY = os.environ.get("FAULT_ONLY", "")
PATIENCE = 0.05         # s: a hundred times what an answer takes
LOG_SIZE = 8192         # of --log-file
LOG = 6000              # bytes that may be logged about one fault
TIMES = {"once": 1, "thrice": 3, "often": 1000, "forever": ANY}

# Faults that passt did not survive once: these are always tried.
FOUND = (r"read at read .* call 1, EIO forever|"
         r"recvmmsg at udp_recv_batch .* call 1, ENOMEM forever|"
         r"recvmsg at read_reply .* call 1, ENOMEM forever|"
         r"recvmsg at tcp_sock_peek .* call 1, (ENOBUFS|ENOMEM) forever|"
         r"socket at sock_open .* call [34], (ENOMEM|EPERM) once|"
         r"recvmsg at sock_recv .* call 3, (EINTR|ENOBUFS) once")
# Calls that are not made here: libc makes them for functions that can't be
# replaced one by one (if_indextoname(), fopen()), passt makes them when it ends
# (its files are removed), with vhost-user, before the loop (random numbers), or
# after another fault: passt rests if memory is short, and binds ports again.
ELSEWHERE = {"fchdir", "fcntl", "fstat", "getrandom", "inotify_rm_watch",
             "ioctl", "listen", "lstat", "poll", "readlinkat", "setresgid",
             "setresuid", "unlinkat"}

# Name of a group of faults: options of passt, steps, files with the calls.
GROUPS = {
    "host": (scenario.OPTIONS_OF_PASST, scenario.HOST_STEPS,
             r"(addrs|follow|host|netlink|paths|resolv|sock|watch)\.c"),
    "traffic": (scenario.OPTIONS_OF_PASST, scenario.STEPS, ""),
    "bound": ((*scenario.OPTIONS_OF_PASST, "--no-host-access",
               "--outbound", HOST4, "--outbound", HOST6,
               "--outbound-if4", "eth0", "--outbound-if6", "eth0"),
              scenario.STEPS, ""),
    "files": ((*scenario.OPTIONS_OF_PASST, "--trace", "--log-size",
               str(LOG_SIZE), "--log-file", "LOG", "--pcap", "PCAP"),
              scenario.STEPS, ""),
}

Fault = collections.namedtuple("Fault", "call site first error how")


class Bench:
    """A passt whose calls fail, with its guest and its peers."""

    def __init__(self, lab, name):
        options, self.steps, self.files = GROUPS[name]
        self.lab, self.name = lab, name
        self.orders = calls.Orders(lab)
        self.peers = Peers(lab, 1)
        self.options = [f"{lab.dir}/{word.lower()}" if word.isupper()
                        and len(word) > 2 else word for word in options]
        self.start()

    def start(self):
        """Starts passt, and finds out what it holds when all is well."""
        self.passt = self.lab.passt(*self.options, env=self.orders.env)
        self.scenario = Scenario(self.lab, self.peers, 1)
        for _ in range(3):
            expect("steps that fail without a fault",
                   self.scenario.run(self.steps), [])
            self.scenario.works()
        rests(self.passt, 0.2)
        self.scenario.patience = PATIENCE
        self.health = Health(self.lab, self.passt, self.orders)

    def again(self):
        """Replaces a passt that has failed a test."""
        self.orders.stop()
        self.scenario.disconnect()
        with contextlib.suppress(Exception):
            self.passt.kill()
        self.peers.clear()
        self.start()

    def places(self):
        """Returns a dictionary: (function, place) -> calls in one run, with
        those that passt makes when the guest has left."""
        self.orders.forget()
        self.scenario.patience = 1
        self.scenario.run(self.steps)
        rests(self.passt, 0.2)
        self.scenario.patience = PATIENCE
        return self.orders.sites()

    def faults(self, seen):
        """All faults of this group: at each place, and each call there, except
        for the places that earlier groups have @seen."""
        for (call, site), count in sorted(self.places().items()):
            if (call, site) in seen or \
                    not re.search(self.files, self.orders.place(site)):
                continue
            seen.add((call, site))
            where = self.orders.place(site).split()[0]
            for error in calls.errors_at(call, where):
                for how in calls.repeats(call, where, error):
                    yield Fault(call, site, 0, error, how)
                each = 3 if where.startswith("pcap") else 40
                for first in range(1, min(count, each)):
                    yield Fault(call, site, first, error, "once")

    def words(self, fault):
        return (f"{fault.call} at {self.orders.place(fault.site)}, call "
                f"{fault.first + 1}, {fault.error} {fault.how}")

    def lasting(self, fault):
        """Fails unless passt rests although a call fails for ever."""
        for step in scenario.ESSENTIAL:
            self.scenario.step(step, PATIENCE)
        scenario.alive(self.passt)
        self.health.idle()
        self.scenario.disconnect()

    def attempt(self, fault):
        """Tries one fault. Returns how many calls have failed."""
        self.orders.fail(fault.call, fault.error, TIMES[fault.how],
                         fault.first, fault.site)
        self.scenario.run(self.steps)
        scenario.alive(self.passt)
        if fault.how == "forever":
            self.lasting(fault)
        failed = self.orders.stop()
        self.scenario.works()
        closed = self.lab.messages().count("passt does not hear of")
        if self.name == "files":
            self.check_files(failed and "pcap" in self.orders.place(fault.site))
        else:
            self.health.descriptors -= closed
            self.health.check(LOG)
        if closed:
            self.again()
        return failed

    def check_files(self, ended):
        """Fails unless passt holds no more than before, and its log file has at
        most LOG_SIZE bytes. All messages also go to stderr, without a limit.
        @ended: a write to the recording has failed, so passt has closed it."""
        self.health.descriptors -= ended
        self.health.check(1 << 30)
        size = os.path.getsize(f"{self.lab.dir}/log")
        if size > LOG_SIZE:
            raise AssertionError(f"the log file has {size} bytes")
        if ended:
            self.again()


class Tally:
    """Counts what was tried, for each function."""

    def __init__(self):
        self.tried = collections.Counter()
        self.failed = collections.Counter()
        self.places = collections.defaultdict(set)
        self.wrong = []

    def add(self, fault, failed):
        self.tried[fault.call] += 1
        self.failed[fault.call] += failed
        self.places[fault.call].add(fault.site)

    def show(self, name):
        for call in sorted(self.tried):
            print(f"# {name}: {call}: {len(self.places[call])} places, "
                  f"{self.tried[call]} faults, {self.failed[call]} failed "
                  "calls", flush=True)
        print(f"# {name}: {sum(self.tried.values())} faults, "
              f"{sum(self.failed.values())} failed calls, "
              f"{len(self.wrong)} not survived", flush=True)


def chosen(bench, seen):
    """Those of the faults that FAULT, SEED and FAULT_ONLY select."""
    faults = [fault for fault in bench.faults(seen)
              if re.search(ONLY, f"{bench.name}: {bench.words(fault)}")]
    if HOW_MANY == "all" or len(faults) <= int(HOW_MANY):
        return faults
    return [fault for fault in faults
            if re.search(FOUND, bench.words(fault))] + \
        random.Random(SEED).sample(faults, int(HOW_MANY))


def group(lab, name, seen):
    """Given a call that fails, then passt survives, and serves later."""
    bench, tally = Bench(lab, name), Tally()
    faults = chosen(bench, seen)
    start = time.monotonic()
    for number, fault in enumerate(faults):
        if HOW_MANY == "all" and number % 100 == 0:
            print(f"# {name}: {number} of {len(faults)}", flush=True)
        try:
            tally.add(fault, bench.attempt(fault))
        except Exception as e:
            tally.wrong.append(f"{bench.words(fault)}: {e}")
            print(f"# {name}: {tally.wrong[-1]}", flush=True)
            print(bench.lab.messages()[-300:], flush=True)
            bench.again()
    tally.show(name)
    print(f"# {name}: {time.monotonic() - start:.1f} s", flush=True)
    expect("not survived", tally.wrong, [])


def storm(bench):
    """Given that every call that a signal may interrupt is interrupted, twenty
    times, then passt goes on."""
    often = [call for call, errors in calls.errors().items()
             if "EINTR" in errors]
    for i, call in enumerate(often):
        bench.orders.fail(call, "EINTR", 20, rule=i)
    bench.scenario.run(bench.steps)
    scenario.alive(bench.passt)
    failed = bench.orders.stop()
    print(f"# EINTR: {failed} calls of {len(often)} functions", flush=True)
    bench.scenario.works()
    bench.health.check(LOG)


def signals(bench):
    """Given a storm of signals that passt handles or ignores, or that stop it
    and let it continue, then it goes on, and no step of the guest fails."""
    end = threading.Event()
    sent = 0

    def send():
        nonlocal sent
        while not end.is_set():
            for sig in (signal.SIGSTOP, signal.SIGCONT, signal.SIGUSR1,
                        signal.SIGPIPE, signal.SIGWINCH, signal.SIGCHLD):
                os.kill(bench.passt.pid, sig)
                sent += 1
            time.sleep(0.0005)
    thread = threading.Thread(target=send)
    thread.start()
    bench.scenario.patience = 2
    wrong = [bench.scenario.run(bench.steps) for _ in range(10)]
    bench.scenario.patience = PATIENCE
    end.set()
    thread.join()
    print(f"# {sent} signals", flush=True)
    scenario.alive(bench.passt)
    expect("steps that fail", wrong, [[]] * 10)
    bench.scenario.works()
    bench.health.bytes = bench.health.said()    # SIGUSR1 logs counters
    bench.health.check(LOG)


def story():
    if SANITIZED:
        with check("calls fail"):
            raise Skip("a sanitizer has its own malloc()")
        return
    scenario.private_etc()
    seen = set()
    with Lab() as lab:
        bench = Bench(lab, "traffic")
        with check("a storm of EINTR"):
            storm(bench)
        with check("a storm of signals"):
            signals(bench)
    for name in GROUPS:
        with check(f"faults of calls: {name}"), Lab() as lab:
            group(lab, name, seen)
    with check("all calls of the event loop are made here"):
        made = {call for call, _ in seen} | ELSEWHERE
        expect("others", sorted(calls.declared() - made), [])


if __name__ == "__main__":
    main(story)
