#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""syscalls.py - A running passt makes only system calls that it declares.

strace records the system calls of passt from its first epoll_wait() on, while
a guest gets its addresses, has TCP, UDP and ping in both directions, tries
peers that don't exist, and leaves; the log file gets full, a signal comes, and
another guest connects. `make syscalls` lists the calls that are permitted.
"""

import os
import re
import signal
import socket
import subprocess

from netlab import (FAMILIES, HOST4, HOST6, Lab, Server, Skip, TOP,
                    UNREACHABLE4, UNREACHABLE6, check, echo_tcp, echo_udp,
                    echoes, expect, main, serves, wait_for)
from traffic import DIGEST, digest_of, give

# System calls that have another name with another libc or architecture.
ALIKE = {"epoll_pwait": "epoll_wait", "ppoll": "poll", "fstat": "newfstatat",
         "newfstatat": "fstat"}
UDP = socket.SOCK_DGRAM


def declared(*groups):
    """The system calls that the event loop may make, from `make syscalls`: those
    of these groups."""
    out = subprocess.run(["make", "-s", "-C", TOP, "syscalls"], check=True,
                         text=True, stdout=subprocess.PIPE).stdout
    return {line.split()[1] for line in out.splitlines()
            if line.split()[0] in groups}


def can_trace():
    """Whether a process may be traced here."""
    return subprocess.run(["strace", "-o", "/dev/null", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0


def traced(path):
    """Counts the system calls in a trace, from the first epoll_wait() on."""
    calls = {}
    with open(path, errors="replace") as f:
        for line in f:
            match = re.match(r"(?:\d+ +)?(\w+)\(", line)
            name = match and match[1]
            if name in ("epoll_wait", "epoll_pwait") or calls and name:
                calls[name] = calls.get(name, 0) + 1
    return calls


def exchange(lab):
    """Runs TCP, UDP and ping from the guest, and TCP and UDP to it."""
    serves(lab)
    for (_, addr), host in zip(FAMILIES, (HOST4, HOST6)):
        with Server(lab.outside.bind(addr, 0, UDP), echo_udp) as server, \
                lab.guest.connect(addr, server.port, kind=UDP) as s:
            for size in (1, 1400):
                s.send(bytes(size))
                expect("echo", len(s.recv(65536)), size)
        with Server(lab.outside.bind(addr), give) as server, \
                lab.guest.connect(addr, server.port, 60) as s:
            expect("SHA-256", digest_of(s), DIGEST)
        with Server(lab.guest.bind("::", 8001), echo_tcp), \
                lab.outside.connect(host, 8001) as s:
            echoes(s, bytes(100000))
        with Server(lab.guest.bind("::", 8001, UDP), echo_udp), \
                lab.outside.connect(host, 8001, 3, UDP) as s:
            s.send(b"datagram")
            expect("echo", s.recv(100), b"datagram")
        lab.guest.run("ping", "-c2", "-i0.2", "-W2", addr)


def nobody_there(lab):
    """Tries peers that refuse, are unreachable, or don't answer."""
    for addr in (FAMILIES[0][1], UNREACHABLE4, FAMILIES[1][1], UNREACHABLE6):
        try:
            lab.guest.connect(addr, 9, timeout=3).close()
        except OSError:
            pass
        with lab.guest.connect(addr, 9, kind=UDP) as s:
            try:
                s.send(b"is anybody there?")
                s.settimeout(1)
                s.recv(100)
            except OSError:
                pass
        lab.guest.run("ping", "-c1", "-W1", addr, status=None)


def start(lab, *options):
    """Starts passt under strace. Returns its Process, and the trace's path."""
    trace = f"{lab.dir}/trace"
    real, wrapper = lab.passt_bin, f"{lab.dir}/traced"
    with open(os.open(wrapper, os.O_CREAT | os.O_WRONLY, 0o755), "w") as f:
        f.write(f"#!/bin/sh\nexec strace -D -qq -o {trace} {real} \"$@\"\n")
    lab.passt_bin = wrapper
    passt = lab.passt(*options)
    lab.passt_bin = real
    wait_for("the trace", lambda: os.path.exists(trace) and traced(trace))
    return passt, trace


def story():
    if not can_trace():
        with check("a running passt makes the calls that it declares"):
            raise Skip("no process may be traced here")
        return
    with Lab() as lab:
        passt, trace = start(lab, "-t", "8001", "-u", "8001", "--stats", "1",
                             "--trace", "--log-file", f"{lab.dir}/log",
                             "--log-size", "4096", "--pcap",
                             f"{lab.dir}/pcap")
        idle = passt.descriptors()
        guest = lab.attach()
        exchange(lab)
        nobody_there(lab)
        os.kill(passt.pid, signal.SIGUSR1)
        guest.kill()
        wait_for("its end", lambda: passt.descriptors() <= idle)
        lab.attach("--mac", "52:54:00:65:43:21")
        serves(lab)
        with check("it ends well"):
            expect("exit status", passt.kill(signal.SIGTERM), 0)
        calls = traced(trace)
        print(f"# {calls}")
        with check("a running passt makes the calls that it declares"):
            may = declared("run", "logfile", "pcap", "end")
            expect("others", sorted(
                name for name in calls
                if name not in may and ALIKE.get(name) not in may), [])
        with check("what the trace has seen is traffic"):
            seen = {"accept4", "recvmmsg", "sendmmsg", "recvmsg", "sendmsg",
                    "connect", "shutdown", "writev", "pwrite64"}
            expect("not seen", sorted(seen - set(calls)), [])


if __name__ == "__main__":
    main(story)
