#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""vhost.py - Tests a real guest over vhost-user, whose memory passt shares.

    guest's memory ---- passt --vhost-user (host) ---- servers (outside)
          qemu ======== messages ====='

It checks all that qemu.py checks over the stream socket; which offloads the
guest has; that the guest works after it was stopped, its link was down, or its
driver was unbound, or it was rebooted; and that it works after passt was killed
and started again. Most of this is done again with the kernels of Debian's
trixie and sid. netlab.py has the topology, guest.py the guest, and newer.py
qemu, because older versions of qemu crash with vhost-user.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
import newer                                                # noqa: E402
import qemu                                                 # noqa: E402
from monitor import Monitor                                 # noqa: E402
from netlab import (HOST4, Lab, ROUTER4, check, echoes,      # noqa: E402
                    expect, expect_below, rests, wait_for)

AGAIN = 1.0             # seconds until passt sends a lost SYN again
STOPS = 25              # how often a guest is stopped and continued
BACK = 2.0              # seconds from passt's restart until a guest works again


def network(lab, ring=1024):
    """qemu's arguments, as in README.md, and a monitor."""
    return ["-object",
            f"memory-backend-memfd,id=mem,size={vm.MEMORY}M,share=on",
            "-numa", "node,memdev=mem",
            "-chardev", f"socket,id=c,path={lab.socket},reconnect-ms=500",
            "-netdev", "vhost-user,id=n,chardev=c",
            "-device", f"{qemu.DEVICE},id=nic,rx_queue_size={ring}",
            "-qmp", f"unix:{lab.dir}/qmp,server=on,wait=off"]


def lost(lab, guest, name):
    """When the guest loses a SYN and sends nothing, then passt sends the SYN
    again."""
    guest.run(f"socat TCP-LISTEN:{qemu.TCP_PORT},reuseaddr EXEC:cat "
              ">/dev/null 2>&1 &")
    with check(f"{name}: a SYN that the guest has lost is sent again"):
        guest.run(f"ip addr del {HOST4}/24 dev eth0")
        time.sleep(1.5)
        start = time.monotonic()
        with lab.outside.connect(HOST4, qemu.TCP_PORT) as s:
            time.sleep(0.5)
            guest.run(f"ip addr add {HOST4}/24 dev eth0; "
                      f"ip route add default via {ROUTER4}")
            echoes(s)
        expect_below("seconds", time.monotonic() - start, AGAIN + 1)


def stopped(lab, guest, name, monitor):
    """When a guest is stopped for a while, then its network works again."""
    with check(f"{name}: stopped for 5 s and continued"):
        monitor("stop")
        time.sleep(5)
        monitor("cont")
        wait_for("an answer", lambda: qemu.reaches(lab, guest), 20)


def interrupted(lab, guest, name, monitor):
    """When datagrams come in while a guest is stopped and continued, again and
    again, then its network works each time."""
    done = threading.Event()

    def send():
        with lab.outside.connect(HOST4, qemu.UDP_PORT, 1,
                                 socket.SOCK_DGRAM) as s:
            while not done.wait(0.0007):
                with contextlib.suppress(OSError):  # nobody listens there
                    s.send(b"hello")

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    with check(f"{name}: stopped {STOPS} times while datagrams come in"):
        for _ in range(STOPS):
            monitor("stop")
            time.sleep(0.1)
            monitor("cont")
            wait_for("an answer", lambda: qemu.reaches(lab, guest), 5)
    done.set()
    thread.join()


def unplugged(lab, guest, name, monitor):
    """When the link goes down and up, or the driver is unbound and bound, then
    the guest's network works again."""
    with check(f"{name}: link down and up"):
        monitor("set_link", name="nic", up=False)
        time.sleep(1)
        expect("on the network while it is down", qemu.reaches(lab, guest),
               False)
        monitor("set_link", name="nic", up=True)
        wait_for("an answer", lambda: qemu.reaches(lab, guest), 20)
    with check(f"{name}: the driver leaves and comes back"):
        guest.run("for d in /sys/bus/virtio/drivers/virtio_net/virtio*; do "
                  "echo ${d##*/} >/run/dev; done; cd /sys/bus/virtio/drivers/"
                  "virtio_net; cat /run/dev >unbind; sleep 1; "
                  "cat /run/dev >bind")
        guest.run("net up", 60)
        wait_for("an answer", lambda: qemu.reaches(lab, guest), 20)


def booted(lab, guest, name, monitor, reset):
    """When a guest boots again, then its network works again.

    @reset: qemu resets the machine; else the guest reboots
    """
    with check(f"{name}: {'reset' if reset else 'reboot'}"):
        monitor("set-action", reboot="reset")
        if reset:
            monitor("system_reset")
        else:
            guest.run("(sleep 0.2; reboot -f) >/dev/null 2>&1 &")
            time.sleep(0.5)
        guest.restart()
        guest.run("net", 60)
        wait_for("an answer", lambda: qemu.reaches(lab, guest), 20)


def reborn(lab, guest, name, passt):
    """Given a guest whose passt is killed, when another passt starts, then the
    guest's network works again. Returns the new passt."""
    with check(f"{name}: passt is killed and started again"):
        passt.kill(signal.SIGKILL)
        passt = lab.passt("--vhost-user", *qemu.OPTIONS)
        start = time.monotonic()
        wait_for("an answer", lambda: qemu.reaches(lab, guest), 20)
        expect_below("seconds", time.monotonic() - start, BACK + 1)
    return passt


def all_of_it(lab, guest, name, passt):
    """All checks. Returns the new passt."""
    monitor = Monitor(f"{lab.dir}/qmp")
    qemu.offloads(guest, name)
    qemu.everything(lab, guest, name)
    lost(lab, guest, name)
    stopped(lab, guest, name, monitor)
    interrupted(lab, guest, name, monitor)
    unplugged(lab, guest, name, monitor)
    booted(lab, guest, name, monitor, True)
    passt = reborn(lab, guest, name, passt)
    qemu.ping(guest, f"{name}, then")
    return passt


def most_of_it(lab, guest, name, passt):
    """Checks that may depend on the guest's kernel. Returns the new passt."""
    monitor = Monitor(f"{lab.dir}/qmp")
    qemu.offloads(guest, name)
    qemu.addresses(guest, name)
    qemu.transfers(lab, guest, name)
    qemu.forwarded(lab, guest, name)
    qemu.at_once(lab, guest, name)
    unplugged(lab, guest, name, monitor)
    booted(lab, guest, name, monitor, False)
    return reborn(lab, guest, name, passt)


def kernel_of(suite):
    """The image with the kernel of a suite, or None."""
    with check(f"there is a kernel of {suite}"):
        image = vm.image_of(suite, newer.root(suite))
        vm.build(image)
        print(os.path.realpath(image.kernel))
        return image


def story():
    images = {suite: kernel_of(suite) for suite in ("trixie", "sid")}
    newer.enter()
    with Lab() as lab:
        passt = lab.passt("--vhost-user", *qemu.OPTIONS)
        guests = qemu.Guests(lab)

        def run(name, checks, image=vm.CLOUD):
            def checks_with_passt(lab, guest, name):
                nonlocal passt
                passt = checks(lab, guest, name, passt)
            guests.run(name, checks_with_passt, network(lab), image=image)

        run("first guest", all_of_it)
        with check("after the first guest was killed, passt rests"):
            rests(passt)
        guests.run("second guest", qemu.some, network(lab, 256))
        for suite, image in images.items():
            if image:
                run(f"Linux of {suite}", most_of_it, image)
        with check("after all, passt is there and rests"):
            expect("alive", passt.alive(), True)
            rests(passt)


if __name__ == "__main__":
    newer.run("vhost", story)
