#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""testpmd.py - Tests DPDK's testpmd as a front-end of vhost-user.

    testpmd (guest) ==== passt --vhost-user (host) ---- servers (outside)

Unlike qemu, it begins with SET_OWNER, checks that passt returns the status that
it has set, takes no offload, and polls its rings. It sends datagrams back, and
it floods passt. Then passt must count all frames, limit the descriptors that it
uses, and serve the next guest. netlab.py has the topology, newer.py DPDK.
"""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import newer                                                # noqa: E402
from netlab import (HOST4, Lab, SERVER4, Server, check,     # noqa: E402
                    echo_udp, expect, expect_below, rests, serves,
                    wait_for)

PORT, ANSWERED = 7001, 7002     # forwarded; source of the flood
ROUTER_MAC = "9a:55:9a:55:9a:55"
QUEUE = 256                     # entries of a ring
MEMORY, MBUFS = 128, 8192       # MiB; buffers
FLOOD = 2.0                     # s
SIZES = 1, 18, 100, 1400        # bytes of datagrams that come back
FLOWS = 65536                   # flows that testpmd opens, in a loop
LIMIT = 4096                    # descriptors that passt may open then

# Both threads of testpmd may run on any processor.
CPUS = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
EAL = ["--lcores", f"0@({CPUS}),1@({CPUS})", "--no-huge", "-m", str(MEMORY),
       "--no-pci", "--no-telemetry", "--no-shconf",
       "--log-level", "pmd.net.virtio.*:debug"]


class Testpmd:
    """A running testpmd, which takes commands as calls."""

    def __init__(self, lab, *settings):
        """@settings: options of its virtio device"""
        device = ",".join(["net_virtio_user0", f"path={lab.socket}",
                           f"queue_size={QUEUE}", *settings])
        self.path = f"{lab.dir}/testpmd.log"
        with open(self.path, "w") as log:
            self.process = lab.guest.spawn(
                "stdbuf", "-oL", "dpdk-testpmd", *EAL, "--vdev", device, "--",
                "-i", f"--total-num-mbufs={MBUFS}",
                f"--flowgen-flows={FLOWS}", f"--tx-ip={HOST4},{SERVER4}",
                f"--tx-udp={ANSWERED},{PORT}",
                stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)
        wait_for("testpmd's prompt", lambda: "testpmd> " in self.said() or
                 self.check_alive(), 20)
        self(f"set eth-peer 0 {ROUTER_MAC}")

    def check_alive(self):
        """Fails if testpmd has ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"testpmd ended: {self.said()[-500:]}")

    def __call__(self, *commands):
        for command in commands:
            self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def said(self):
        """All output so far."""
        with open(self.path, errors="replace") as log:
            return log.read()

    def forward(self, mode):
        """Starts to forward in this mode."""
        self("stop", f"set fwd {mode}", "start")
        wait_for(mode, lambda: f"{mode} packet forwarding packets/burst" in
                 self.said() or self.check_alive())

    def sent(self):
        """Stops forwarding. Returns the number of frames that passt got."""
        self("stop", "show port stats 0")
        found = wait_for("statistics", lambda: re.findall(
            r"TX-packets: (\d+) .*\n\n  Throughput", self.said()))
        return int(found[-1])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


@contextlib.contextmanager
def testpmd(lab, *settings):
    front = Testpmd(lab, *settings)
    try:
        yield front
    finally:
        front.kill()


def counted(lab, name):
    """The last value of one of passt's counters."""
    found = re.findall(rf"counters: {name} (\d+)$", lab.messages(), re.M)
    return int(found[-1]) if found else 0


def comes_back(lab, front):
    """Fails unless datagrams to the forwarded port come back."""
    front.forward("5tswap")
    with lab.outside.connect(HOST4, PORT, 5, socket.SOCK_DGRAM) as s:
        for size in SIZES:
            data = os.urandom(size)
            s.send(data)
            expect(f"{size} bytes", s.recv(2000), data)


def echoes(lab):
    """Given one of several ring formats, then traffic goes both ways, and passt
    returns the status that testpmd has set."""
    for settings in (), ("mrg_rxbuf=0",), ("in_order=1", "packed_vq=1"):
        with check(f"status and datagrams: {' '.join(settings) or 'plain'}"), \
                testpmd(lab, *settings) as front:
            comes_back(lab, front)
            expect("status that it read back: FEATURES_OK",
                   "-FEATURES_OK: 1" in front.said(), True)


def flood(lab):
    """When testpmd sends as fast as it can, then passt forwards datagrams, and
    counts all frames."""
    with check("a flood of datagrams, all of them counted"), \
            lab.outside.bind(SERVER4, PORT, socket.SOCK_DGRAM) as server, \
            testpmd(lab) as front:
        front.forward("txonly")
        time.sleep(FLOOD)
        sent = front.sent()
        expect_below("10000 frames", 10000, sent)
        expect("source", server.recvfrom(2000)[1], (HOST4, ANSWERED))
        wait_for(f"count of {sent} frames", lambda: counted(
            lab, "frames_from_guest") == sent)


def deaf(lab):
    """When peers answer a flood, but testpmd takes no frame, then passt drops
    the answers, and still takes frames."""
    with check("a flood that is answered, by a guest without free buffers"), \
            Server(lab.outside.bind(SERVER4, PORT, socket.SOCK_DGRAM),
                   echo_udp), testpmd(lab) as front:
        front.forward("txonly")
        wait_for("count of frames without space", lambda: counted(
            lab, "to_guest_no_space"), 60)
        before = counted(lab, "frames_from_guest")
        wait_for("more frames from it", lambda: counted(
            lab, "frames_from_guest") > before)


def flows(lab, passt):
    """When there are more flows than descriptors, then passt evicts flows."""
    with check(f"a flood of flows, and {LIMIT} descriptors"), \
            testpmd(lab) as front:
        front.forward("flowgen")
        wait_for("many evicted flows", lambda: counted(
            lab, "udp_evicted") > LIMIT)
        expect_below("flows", counted(lab, "flows"), LIMIT)
        expect_below("descriptors", passt.descriptors(), LIMIT)


def next_guest(lab, passt):
    """When testpmd is killed in a flood, then the next guest is served."""
    with check("killed in a flood, then an ordinary guest is served"):
        with testpmd(lab) as front:
            front.forward("txonly")
            time.sleep(0.5)
        guest = lab.attach(vhost=True)
        serves(lab)
        expect("end of the guest", guest.kill(signal.SIGTERM), 0)
    with check("after all, passt is there and rests"):
        expect("alive", passt.alive(), True)
        rests(passt)


def story():
    newer.enter()
    with Lab() as lab:
        for part in flood, deaf, echoes:
            passt = lab.passt("--vhost-user", "--stats", "1", "-u", str(PORT))
            part(lab)
            passt.kill()
        passt = lab.passt(
            "--vhost-user", "--stats", "1", preexec_fn=lambda:
            resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)))
        flows(lab, passt)
        next_guest(lab, passt)


if __name__ == "__main__":
    newer.run("testpmd", story, None)
