#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""uml.py - Tests user-mode Linux as a front-end of vhost-user.

    user-mode Linux (guest) ==== passt --vhost-user (host) ---- server (outside)

Unlike qemu, it begins with SET_OWNER, and passes the features that passt offers
to its driver as they are. The driver refuses features that need a control
queue, because there is none. Its root file system is a folder of the host, from
which the test reads the results. netlab.py has the topology.
"""

import glob
import hashlib
import os
import platform
import shutil
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

from netlab import (FAMILIES, HOST4, Lab, Server, check,    # noqa: E402
                    expect, main, rests, wait_for)

MODULES = "failover", "net_failover", "virtio_net", "crc-ccitt", "ipv6"
PROGRAM, FOLDER = "linux.uml", "/usr/lib/uml/modules"
BYTES = 8 << 20         # of each transfer
PORT = 7001             # of the server for IPv4; IPv6: the next one
LIMIT = 90              # s, for all that the guest does

INIT = """#!/bin/busybox sh
export PATH=/bin
cd /
/bin/busybox mkdir -p bin proc sys out
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
for m in {modules}; do insmod /lib/$m.ko; done
cat /sys/bus/virtio/devices/*/features >/out/features
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -f -s /lease >/out/udhcpc 2>&1
ip addr show dev eth0 >/out/addr
for i in 1 2 3 4 5 6 7 8 9 10; do
	ip -6 addr show dev eth0 scope global | grep -q "inet6.*dynamic" &&
		! ip -6 addr show dev eth0 | grep -q tentative && break
	sleep 1
done
ip -6 addr show dev eth0 >/out/addr6
i=0
for addr in {servers}; do
	nc $addr $(({port} + i)) </data >/out/data$i
	i=$((i + 1))
done
dmesg >/out/dmesg
sync
poweroff -f
"""

LEASE = """#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
ip route add default via $router
"""


def missing():
    """What user-mode Linux lacks here; None: nothing."""
    for program in PROGRAM, "busybox":
        if not shutil.which(program):
            return program
    return None


def module(name):
    """Path of a module of user-mode Linux; None: it is built in."""
    return next(iter(glob.glob(f"{FOLDER}/*/kernel/**/{name}.ko",
                               recursive=True)), None)


def script(path, text):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, 0o755)


def prepare(root, data):
    """Makes the guest's root file system."""
    for folder in "bin", "lib", "out", "dev":
        os.makedirs(f"{root}/{folder}")
    shutil.copy(shutil.which("busybox"), f"{root}/bin/busybox")
    found = [name for name in MODULES if module(name)]
    for name in found:
        shutil.copy(module(name), f"{root}/lib/{name}.ko")
    script(f"{root}/init", INIT.format(
        modules=" ".join(found), port=PORT,
        servers=" ".join(addr for _, addr, *_ in FAMILIES)))
    script(f"{root}/lease", LEASE)
    with open(f"{root}/data", "wb") as file:
        file.write(data)


def result(root, name):
    with open(f"{root}/out/{name}", errors="replace") as file:
        return file.read()


def boot(lab, root):
    """Runs the guest to its end. Returns what it printed."""
    command = [PROGRAM, "mem=128M", "root=none", "rootfstype=hostfs",
               f"rootflags={root}", "rw", "init=/init", "quiet",
               f"virtio_uml.device={lab.socket}:1",     # 1: a network card
               "con=null", "con0=null,fd:1"]
    return lab.guest.run(*command, timeout=LIMIT)


def swaps(received):
    """Makes a function that exchanges BYTES with one client: it sends what it
    has received, in the end."""
    def answer(listener):
        conn, _ = listener.accept()
        with conn:
            data = b""
            while len(data) < BYTES:
                more = conn.recv(1 << 20)
                if not more:
                    break
                data += more
            received.append(data)
            conn.sendall(data)
    return answer


def digest(data):
    return hashlib.sha256(data).hexdigest()


def story():
    if platform.machine() != "x86_64":
        print("skip user-mode Linux: Debian has it for x86 only")
        return
    if missing():
        print(f"skip user-mode Linux: needs {missing()}")
        return
    data = os.urandom(BYTES)
    os.environ["TMPDIR"] = "/dev/shm"       # user-mode Linux maps its memory
    with Lab() as lab:
        root = f"{lab.dir}/root"
        prepare(root, data)
        passt = lab.passt("--vhost-user")
        received = [], []
        servers = [Server(lab.outside.bind(addr, PORT + i), swaps(received[i]))
                   for i, (_, addr, *_) in enumerate(FAMILIES)]
        with servers[0], servers[1]:
            with check("user-mode Linux boots, and powers off"):
                boot(lab, root)
        with check("its driver takes the device, without a control queue"):
            features = result(root, "features")
            expect("VERSION_1, CSUM", features[32] + features[0], "11")
            expect("GUEST_ANNOUNCE, MQ", features[21] + features[22], "00")
        with check("it has an address by DHCP, and one by IPv6"):
            expect("IPv4", f"inet {HOST4}/" in result(root, "addr"), True)
            expect("IPv6", "inet6 2001:db8:" in result(root, "addr6"), True)
        for i, (name, *_) in enumerate(FAMILIES):
            with check(f"{BYTES} bytes by {name}, there and back"):
                expect("there", digest(received[i][0]), digest(data))
                with open(f"{root}/out/data{i}", "rb") as file:
                    expect("back", digest(file.read()), digest(data))
        with check("then an ordinary guest is served"):
            wait_for("end", lambda: "guest disconnected" in lab.messages())
            lab.attach(vhost=True)
            rests(passt)


if __name__ == "__main__":
    main(story)
