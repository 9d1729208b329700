#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""moments.py - Tests that passt survives temporary problems of the host.

The problems are: no memory for the guest's socket, an accept4() that fails
repeatedly, a stderr that nobody reads, and a low limit of descriptors. System
calls fail because of a library that is preloaded (inject.c).
"""

import contextlib
import errno
import os
import pty
import resource
import select
import signal
import socket
import time

from netlab import (Lab, SERVER4, HOST4, Server, check, echo_tcp, echoes,
                    expect, expect_below, main, preload, serves, spawn_user,
                    wait_for, Process)

PORT = 2222


class Fault:
    """Makes a system call of passt fail during a block.

    @env: environment for lab.passt()
    """

    def __init__(self, lab, call, error):
        self.file = f"{lab.dir}/fault"
        self.env = preload(lab, "inject.c", INJECT_CALL=call,
                           INJECT_ERRNO=str(error), INJECT_WHILE=self.file)

    def __enter__(self):
        with open(self.file, "w"):
            pass

    def __exit__(self, *_):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.file)


def no_memory(lab):
    """Given no memory for the guest's socket for a while, then the guest's
    connections survive."""
    for call in "sendmsg", "recvmsg":
        for error in errno.ENOBUFS, errno.ENOMEM:
            name = f"{call}: {errno.errorcode[error]}"
            with check(f"{name}: the guest's connection goes on"):
                fault = Fault(lab, call, error)
                passt = lab.passt(env=fault.env)
                guest = lab.attach()
                with Server(lab.outside.bind(SERVER4), echo_tcp) as server, \
                        lab.guest.connect(SERVER4, server.port, 20) as s:
                    echoes(s)
                    with fault:
                        s.sendall(b"in the bad moment")
                        load = passt.load(1)
                        expect("answers meanwhile",
                               select.select([s], [], [], 0)[0], [])
                    expect("echo", s.recv(100), b"in the bad moment")
                    echoes(s)
                expect("guest's tap", guest.alive(), True)
                expect_below("processor time, %", load, 20)
                guest.kill()
                passt.kill(signal.SIGTERM)


def accept_fails(lab):
    """Given an accept4() that fails for a while, then passt does not loop, and
    accepts later."""
    for error in errno.ENOBUFS, errno.ENOMEM, errno.ENFILE, errno.EPERM, \
            errno.ECONNABORTED:
        name = errno.errorcode[error]
        with check(f"accept4: {name}: a forwarded port rests, then serves"):
            fault = Fault(lab, "accept4", error)
            passt = lab.passt("-t", f"{PORT}", env=fault.env)
            guest = lab.attach()
            with fault:
                s = lab.outside.connect(HOST4, PORT)
                load = passt.load(1)
            with s, Server(lab.guest.bind("0.0.0.0", PORT), echo_tcp):
                if error in (errno.ENFILE, errno.ECONNABORTED):
                    s.close()
                    s = lab.outside.connect(HOST4, PORT)
                echoes(s)
            expect_below("processor time, %", load, 10)
            guest.kill()
            passt.kill(signal.SIGTERM)
    with check("accept4: ENOMEM: the guest's socket rests, then serves"):
        fault = Fault(lab, "accept4", errno.ENOMEM)
        passt = lab.passt(env=fault.env)
        with fault:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(lab.socket)
                expect_below("processor time, %", passt.load(1), 10)
        guest = lab.attach()
        serves(lab)
        guest.kill()
        passt.kill(signal.SIGTERM)


def unread(lab, name, read_end, write_end):
    """Given --trace and a stderr that nobody reads, then passt serves the
    guest, and reports lost messages when its stderr is read again."""
    with check(f"{name} that nobody reads: the guest is served"):
        p = spawn_user(lab.host, [lab.passt_bin, "-f", "--trace", "-s",
                                  lab.socket], stdout=write_end,
                       stderr=write_end)
        os.close(write_end)
        wait_for("socket", lab.accepts)
        wait_for("start", Process(p.pid).started)
        guest = lab.attach()
        with Server(lab.outside.bind(SERVER4), echo_tcp) as server, \
                lab.guest.connect(SERVER4, server.port) as s:
            for _ in range(2000):
                echoes(s)
    with check(f"{name} that is read again: passt says what was lost"):
        said = b""
        os.set_blocking(read_end, False)
        end = time.monotonic() + 10
        while b"messages were lost" not in said and time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                said += os.read(read_end, 65536)
            lab.guest.run("ping", "-c1", "-W1", SERVER4, status=None)
        expect("said so", b"messages were lost" in said, True)
    with check(f"{name} that nobody reads: SIGTERM ends passt"):
        lab.guest.run("ping", "-f", "-c2000", "-W1", SERVER4, status=None)
        guest.kill()
        p.send_signal(signal.SIGTERM)
        expect("exit status", p.wait(5), 0)
    os.close(read_end)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(lab.socket)


def nobody_reads(lab):
    unread(lab, "a pipe", *os.pipe())
    unread(lab, "a terminal", *pty.openpty())


def few_descriptors(lab):
    """Given a low limit of descriptors, then passt can forward one port, and
    serves the guest."""
    for limit in 40, 64, 80:
        with check(f"{limit} descriptors: one forwarded port serves"):
            passt = lab.passt("-t", f"{PORT}", preexec_fn=lambda:
                              resource.setrlimit(resource.RLIMIT_NOFILE,
                                                 (limit, limit)))
            guest = lab.attach()
            with Server(lab.guest.bind("0.0.0.0", PORT), echo_tcp), \
                    lab.outside.connect(HOST4, PORT) as s:
                echoes(s)
            serves(lab)
            guest.kill()
            passt.kill(signal.SIGTERM)


def story():
    for part in no_memory, accept_fails, nobody_reads, few_descriptors:
        with check(f"{part.__name__} ran to its end"), Lab() as lab:
            part(lab)


if __name__ == "__main__":
    main(story)
