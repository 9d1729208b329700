#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""netdev.py - qemu's -netdev passt with vhost-user=on: qemu itself starts passt,
and ends it.

    guest in qemu ---- passt --vhost-user --fd 3 (host) ---- servers (outside)

This needs qemu 11 or later. Here it is qemu of Debian's sid, which runs with
sid's libraries in a root folder of its own, as an ordinary user (newer.py).
netlab.py has the topology, guest.py the guest.
"""

import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
import newer                                                # noqa: E402
import qemu                                                 # noqa: E402
from monitor import Monitor                                 # noqa: E402
from netlab import Lab, NOBODY, check, expect, wait_for     # noqa: E402

PIDS = "/tmp/passt-*.pid"


def network(lab):
    """qemu's arguments. Each param is handed on to passt as it is."""
    params = "".join(f",param={option.replace(',', ',,')}"
                     for option in qemu.OPTIONS)
    return ["-object",
            f"memory-backend-memfd,id=mem,size={vm.MEMORY}M,share=on",
            "-numa", "node,memdev=mem",
            "-netdev", f"passt,id=n,path={lab.passt_bin},vhost-user=on" +
            params,
            "-device", f"{qemu.DEVICE},id=nic,rx_queue_size=1024",
            "-qmp", f"unix:{lab.dir}/qmp,server=on,wait=off"]


def passts(lab):
    """Command lines of passt, by pid."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path) as file:
                words = file.read().split("\0")[:-1]
        except OSError:
            continue
        if words and words[0] == lab.passt_bin:
            found[int(path.split("/")[2])] = words
    return found


def started(lab, before):
    """Given a running guest, then qemu has started passt with the arguments
    that we expect, as the user that qemu runs as."""
    with check("qemu starts passt"):
        (pid, words), = passts(lab).items()
        pids, = set(glob.glob(PIDS)) - before
        expect("command line", words, [
            lab.passt_bin, "--vhost-user", "--quiet", *qemu.OPTIONS,
            "--pid", pids, "--fd", "3"])
        with open(pids) as file:
            expect("pid in its file", int(file.read()), pid)
        expect("user", os.stat(f"/proc/{pid}").st_uid, NOBODY)


def ended(lab, guest, before):
    """When qemu quits, then it ends passt and removes the pid file."""
    with check("qemu quits, and no passt or pid file is left"):
        monitor = Monitor(f"{lab.dir}/qmp")
        monitor("quit")
        monitor.close()
        expect("qemu's exit status", guest.process.wait(10), 0)
        wait_for("end of passt", lambda: not passts(lab), 5)
        expect("pid files", set(glob.glob(PIDS)) - before, set())


def story():
    """Given -netdev passt, when qemu starts, then the guest's network works."""
    before = set(glob.glob(PIDS))
    in_sid = newer.in_sid(NOBODY)
    with Lab() as lab:
        # Run qemu in the host's namespace, so that its passt is there, too.
        guest = vm.Guest("tcg", lambda *cmd, **kw: lab.host.spawn(
            *in_sid, *cmd, **kw), network(lab))
        try:
            started(lab, before)
            qemu.offloads(guest, "netdev")
            qemu.addresses(guest, "netdev")
            qemu.transfers(lab, guest, "netdev")
            qemu.forwarded(lab, guest, "netdev")
            ended(lab, guest, before)
        finally:
            guest.kill()
            for path in set(glob.glob(PIDS)) - before:
                os.unlink(path)


if __name__ == "__main__":
    newer.run("netdev", story)
