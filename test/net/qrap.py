#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""qrap.py - Tests qrap with a fake emulator that prints its arguments.

   listener ── /tmp/passt_N.socket ── qrap ── exec ── fake qemu
                                                      prints its arguments,
                                                      says hello on the socket

The test has a private /tmp in a mount namespace, so that it does not see
sockets of other users of the machine.
"""

import ctypes
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("B", "build"))

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000

EMULATOR = "qemu-system-" + {"i686": "i386", "ppc64le": "ppc64"}.get(
    platform.machine(), platform.machine())

# Prints each argument on a line, then writes "hello" to the descriptor that the
# command line or QRAP_FD names.
FAKE = r"""#!/bin/sh
for a; do
    printf '%s\n' "$a"
    case "$a" in socket,fd=*) fd=${a#socket,fd=}; fd=${fd%%,*} ;; esac
done
fd=${QRAP_FD:-$fd}
[ -z "$fd" ] || eval "printf hello >&$fd"
"""

failed = 0


def result(name, why):
    """Prints the line of one check.

    @why: why it failed; empty: it passed
    """
    global failed
    failed += bool(why)
    print(f"not ok {name}: {why}" if why else f"ok {name}", flush=True)


def private_tmp():
    """Mounts an empty /tmp that only this process and its children see."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)):
        raise OSError(ctypes.get_errno(), "unshare")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"),
                           ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as f:
                f.write(text)
    if (libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or
            libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)):
        raise OSError(ctypes.get_errno(), "mount")


class Listener:
    """Acts as passt: accepts one guest after another, reads what it sends.

    @turn_away: close connections at once, as passt does if it has a guest
    """

    def __init__(self, path="/tmp/passt_1.socket", turn_away=False):
        self.path, self.turn_away = path, turn_away
        self.heard = []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            with conn:
                if not self.turn_away:
                    self.heard.append(conn.recv(100))

    def greeted(self):
        """Empty if a guest sends hello within a second, else what came."""
        deadline = time.monotonic() + 1
        while b"hello" not in self.heard and time.monotonic() < deadline:
            time.sleep(0.01)
        return "" if b"hello" in self.heard else f"heard {self.heard}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.sock.close()
        os.unlink(self.path)


def stale_socket(path):
    """Makes a socket file that no program listens on."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.close()


class Foreigner:
    """A process of another user that listens at a path, and accepts."""

    def __init__(self, path, uid=65534):
        ready, said = os.pipe()
        self.path, self.pid = path, os.fork()
        if not self.pid:
            os.setgid(uid)
            os.setuid(uid)
            os.umask(0)
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(path)
                s.listen()
                os.write(said, b"x")
                kept = []
                while True:
                    kept.append(s.accept()[0])
        os.read(ready, 1)
        os.close(ready)
        os.close(said)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.unlink(self.path)


class Qrap:
    """One run of qrap."""

    def __init__(self, *args, program="/tmp/qrap", **env):
        began = time.monotonic()
        env.setdefault("PATH", "/tmp/bin:" + os.environ["PATH"])
        p = subprocess.run([program, *args], env={**os.environ, **env},
                           capture_output=True, text=True, timeout=30)
        self.seconds = time.monotonic() - began
        self.argv = p.stdout.splitlines()
        self.err, self.status = p.stderr, p.returncode

    def error(self, *words):
        """Empty if qrap exited with status 1 and printed one line that has all
        @words, otherwise what was wrong."""
        if self.status != 1 or self.argv:
            return f"status {self.status}, ran {self.argv}"
        if self.err.count("\n") != 1:
            return f"not one line: {self.err!r}"
        missing = [w for w in words if w not in self.err]
        return f"no {missing} in {self.err!r}" if missing else ""


def fake(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(FAKE)
    os.chmod(path, 0o755)


# Descriptor mode

def test_fd():
    with Listener() as passt:
        q = Qrap("5", "fake", "-netdev", "socket,fd=5,id=n", "-x")
    result("fd mode leaves the arguments alone",
           "" if q.argv == ["-netdev", "socket,fd=5,id=n", "-x"] else q.argv)
    result("fd mode passes the socket",
           passt.greeted())

    with Listener() as passt:
        q = Qrap("9", "fake", QRAP_FD="9")
    result("fd mode passes it under the given number",
           passt.greeted())

    with Listener():
        q = Qrap("5", "/tmp/bin/not-there")
    result("a command that does not exist", q.error("/tmp/bin/not-there", "No such file"))


def test_bad_fd():
    for fd in "0", "2", "5x", "99999999", "99999999999999999999999":
        result(f"bad FD {fd}", Qrap(fd, "fake").error(f"'{fd}'", "from 3 to "))
    result("FD without COMMAND", Qrap("5").error("COMMAND", "'5'"))
    result("no argument", Qrap().error("qrap FD COMMAND"))


# Finding the socket

def test_no_socket():
    q = Qrap("5", "fake")
    result("no socket: the message says what was tried and what to do",
           q.error("/tmp/passt_1.socket to /tmp/passt_64.socket", "none exists", "start it with: passt"))
    result("no socket: the message comes at once", "" if q.seconds < 2 else f"{q.seconds:.1f} s")
    result("no socket: emulator mode prints the message too",
           Qrap("-m", "512").error("/tmp/passt_1.socket", "start it with: passt"))


def test_stale_socket():
    stale_socket("/tmp/passt_3.socket")
    q = Qrap("5", "fake")
    os.unlink("/tmp/passt_3.socket")
    result("stale socket: the message names it", q.error("/tmp/passt_3.socket (nobody listens)"))
    result("stale socket: tried for a few seconds",
           "" if 3 < q.seconds < 10 else f"{q.seconds:.1f} s")


def test_second_socket():
    stale_socket("/tmp/passt_1.socket")
    with Listener("/tmp/passt_2.socket") as passt:
        q = Qrap("5", "fake", QRAP_FD="5")
    os.unlink("/tmp/passt_1.socket")
    result("the second socket when the first refuses",
           passt.greeted() + q.err)

    with Listener("/tmp/passt_1.socket", turn_away=True), \
            Listener("/tmp/passt_2.socket") as passt:
        q = Qrap("5", "fake", QRAP_FD="5")
    result("the second socket when the first serves another guest",
           passt.greeted() + q.err)

    with Listener("/tmp/passt_64.socket") as passt:
        q = Qrap("5", "fake", QRAP_FD="5")
    result("the last socket", passt.greeted() + q.err)


def test_foreign_socket():
    if os.path.exists("/proc/self/uid_map"):
        with open("/proc/self/uid_map") as f:
            if os.getuid() or f.read().split()[2] == "1":
                print("skip the socket of another user: there is no other user")
                return
    with Foreigner("/tmp/passt_1.socket"):
        q = Qrap("5", "fake")
        result("a default socket of another user is refused, and the message says so",
               q.error("/tmp/passt_1.socket (of another user", "PASST_SOCKET"))
        with Listener("/tmp/passt_2.socket") as passt:
            Qrap("5", "fake", QRAP_FD="5")
            result("behind a socket of another user, our own is found", passt.greeted())
        q = Qrap("5", "fake", "here", PASST_SOCKET="/tmp/passt_1.socket")
        result("PASST_SOCKET is believed, whoever listens there",
               "" if q.argv == ["here"] else q.err)
    os.chmod("/tmp/bin", 0o755)
    with Listener() as passt:
        os.chmod("/tmp/passt_1.socket", 0o777)
        subprocess.run(["/tmp/qrap", "5", "fake"], check=False, user=65534, group=65534,
                       env={"PATH": "/tmp/bin:" + os.environ["PATH"], "QRAP_FD": "5"})
        result("an ordinary user may use a default socket of root's", passt.greeted())


def test_restart():
    """passt restarts: its socket is absent for half a second."""
    stale_socket("/tmp/passt_1.socket")
    up, done = threading.Event(), []

    def restart():
        time.sleep(0.5)
        os.unlink("/tmp/passt_1.socket")
        time.sleep(0.5)
        with Listener() as passt:
            done.append(passt.greeted())
            up.wait()

    t = threading.Thread(target=restart)
    t.start()
    q = Qrap("5", "fake", QRAP_FD="5")
    up.set()
    t.join()
    result("qrap waits for a restart of passt", done[0] + q.err)


def test_environment():
    path = "/tmp/elsewhere"
    with Listener() as first, Listener(path) as passt:
        q = Qrap("5", "fake", QRAP_FD="5", PASST_SOCKET=path)
    result("PASST_SOCKET is the only socket tried",
           passt.greeted() or ("the first too" if first.heard else ""))
    with Listener():
        q = Qrap("5", "fake", PASST_SOCKET=path)
    result("PASST_SOCKET without passt", q.error(path, f"passt -s {path}"))
    long = "/tmp/" + "x" * 200
    result("PASST_SOCKET that can't be a socket",
           Qrap("5", "fake", PASST_SOCKET=long).error(long, "too long"))


# Emulator mode. Each story is (name, arguments that qrap keeps, arguments that
# it removes, the device that it adds). It also adds a back-end, whose id is the
# netdev of the device.

Q35 = ["-machine", "pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram"]
PC = ["-machine", "pc-i440fx-7.2,accel=kvm,usb=off"]
S390 = ["-machine", "s390-ccw-virtio-7.2,usb=off"]
VIRT = ["-machine", "virt-7.2,usb=off,gic-version=3"]

PORTS_JSON = [
    "-device", '{"driver":"pcie-root-port","port":8,"chassis":1,"id":"pci.1",'
               '"bus":"pcie.0","multifunction":true,"addr":"0x1"}',
    "-device", '{"driver":"pcie-root-port","port":9,"chassis":2,"id":"pci.2",'
               '"bus":"pcie.0","addr":"0x1.0x1"}',
    "-device", '{"driver":"virtio-blk-pci","bus":"pci.1","addr":"0x0","drive":"d"}',
]
PORTS_LIST = [
    "-device", "pcie-root-port,port=8,chassis=1,id=pci.1,bus=pcie.0,multifunction=on,addr=0x1",
    "-device", "pcie-root-port,port=9,chassis=2,id=pci.2,bus=pcie.0,addr=0x1.0x1",
    "-device", "virtio-blk-pci,bus=pci.1,addr=0x0,drive=d",
]

STORIES = [
    # libvirt, with the options of a network, which qrap replaces
    ("q35, JSON: the old slot, id, address", Q35 + PORTS_JSON, [
        "-netdev", '{"type":"tap","fd":"23","vhost":true,"vhostfd":"25","id":"hostnet0"}',
        "-device", '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0",'
                   '"mac":"52:54:00:12:34:56","bootindex":2,"bus":"pci.2","addr":"0x0"}',
    ], "virtio-net-pci,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56,bootindex=2,"
       "bus=pci.2,addr=0x0"),
    ("q35, lists: the old slot, id, address", Q35 + PORTS_LIST, [
        "-netdev", "user,id=hostnet0",
        "-device", "e1000e,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56,bus=pci.2,addr=0x0",
    ], "virtio-net-pci,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56,bus=pci.2,addr=0x0"),
    ("i440fx: the old slot", PC, [
        "-netdev", "tap,fd=23,id=hostnet0", "-device",
        "rtl8139,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56,bus=pci.0,addr=0x3",
    ], "virtio-net-pci,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56,bus=pci.0,addr=0x3"),
    ("s390x: the old device number", S390, [
        "-netdev", "tap,fd=23,id=hostnet0", "-device",
        "virtio-net-ccw,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56,devno=fe.0.0001",
    ], "virtio-net-ccw,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56,devno=fe.0.0001"),
    ("virt: the old memory-mapped device", VIRT, [
        "-netdev", "user,id=hostnet0", "-device",
        "virtio-net-device,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56",
    ], "virtio-net-device,netdev=hostnet0,id=net0,mac=52:54:00:12:34:56"),
    ("a multifunction slot stays one, JSON among JSON", Q35 + PORTS_JSON, ["-device",
        '{"driver":"virtio-net-pci","netdev":"n","multifunction":true,'
        '"bus":"pci.2","addr":"0x0"}',
    ], "virtio-net-pci,netdev=n,bus=pci.2,addr=0x0,multifunction=on"),
    ("a list becomes JSON among JSON", Q35 + PORTS_JSON, ["-device",
        'e1000,netdev=a,,b,id=c"d\\e,bootindex=3,bus=pci.2,addr=0x0,multifunction=on',
    ], 'virtio-net-pci,netdev=a,,b,id=c"d\\e,bootindex=3,bus=pci.2,addr=0x0,multifunction=on'),
    ("a multifunction slot stays one", Q35, ["-device",
        '{"driver":"virtio-net-pci","netdev":"n","multifunction":true,'
        '"bus":"pci.2","addr":"0x0"}',
    ], "virtio-net-pci,netdev=n,bus=pci.2,addr=0x0,multifunction=on"),

    # libvirt, a domain without a network: qrap finds a free slot
    ("q35, JSON: the free port", Q35 + PORTS_JSON, [],
     "virtio-net-pci,netdev=qrap,bus=pci.2,addr=0x0"),
    ("q35, lists: the free port", Q35 + PORTS_LIST, [],
     "virtio-net-pci,netdev=qrap,bus=pci.2,addr=0x0"),
    ("q35: a slot of the root bus when no port is free",
     Q35 + PORTS_LIST + ["-device", "virtio-rng-pci,bus=pci.2,addr=0x0"], [],
     "virtio-net-pci,netdev=qrap,bus=pcie.0,addr=0x1e"),
    ("q35: a free slot, in both forms", [
        "-M", "q35", "-device", "ich9-intel-hda,id=s,bus=pcie.0,addr=0x1e",
        "-device", '{"driver":"ich9-usb-ehci1","id":"usb","bus":"pcie.0","addr":"0x1d.0x7"}',
        "--device", "qemu-xhci,addr=1c.1"], [],
     "virtio-net-pci,netdev=qrap,bus=pcie.0,addr=0x1b"),
    ("i440fx: a free slot", PC + [
        "-device", "piix3-usb-uhci,id=usb,bus=pci.0,addr=0x1.0x2",
        "-device", '{"driver":"virtio-balloon-pci","id":"b","bus":"pci.0","addr":"0x1f"}',
        "-device", "virtio-blk-pci,bus=pci.1,addr=0x1e"], [],
     "virtio-net-pci,netdev=qrap,bus=pci.0,addr=0x1e"),
    ("pc: likewise under its short name", ["-M", "pc,accel=tcg"], [],
     "virtio-net-pci,netdev=qrap,bus=pci.0,addr=0x1e"),
    ("machine with the type not first", ["-machine", "accel=kvm,type=q35"], [],
     "virtio-net-pci,netdev=qrap,bus=pcie.0,addr=0x1e"),
    ("machine in JSON", ["-machine", '{ "accel": "kvm", "type": "q35" }'], [],
     "virtio-net-pci,netdev=qrap,bus=pcie.0,addr=0x1e"),
    ("machine in two parts", ["-machine", "pc-q35-7.2", "-machine", "accel=kvm"], [],
     "virtio-net-pci,netdev=qrap,bus=pcie.0,addr=0x1e"),
    ("s390x: a free device number", S390 + [
        "-device", '{"driver":"virtio-blk-ccw","devno":"fe.0.ffff","drive":"d"}',
        "-device", "virtio-serial-ccw,devno=fe.0.fffe"], [],
     "virtio-net-ccw,netdev=qrap,devno=fe.0.fffd"),
    ("virt: a free slot", VIRT + [
        "-device", '{"driver":"pcie-root-port","chassis":1,"id":"pci.1","bus":"pcie.0","addr":"0x1"}',
        "-device", '{"driver":"virtio-scsi-pci","id":"s","bus":"pci.1","addr":"0x0"}'], [],
     "virtio-net-pci,netdev=qrap,bus=pcie.0,addr=0x1e"),
    ("microvm has no PCI", ["-M", "microvm"], [], "virtio-net-device,netdev=qrap"),
    ("an unknown machine is left to qemu", ["-M", "toaster-1.0"], [],
     "virtio-net-pci,netdev=qrap"),
    ("a slot that only looks like one of its bus", PC, [
        "-device", "usb-net,netdev=hostnet0,id=net0,bus=usb.0,port=2"],
     "virtio-net-pci,netdev=hostnet0,id=net0,bus=pci.0,addr=0x1e"),

    # written by hand
    ("nothing but a disk", ["disk.img"], [], "virtio-net-pci,netdev=qrap"),
    ("-nic", [], ["-nic", "user,model=e1000,mac=52:54:00:00:00:01"],
     "virtio-net-pci,netdev=qrap,mac=52:54:00:00:00:01"),
    ("-nic none", [], ["-nic", "none"], "virtio-net-pci,netdev=qrap"),
    ("-net nic and -net user", [],
     ["-net", "nic,model=virtio,macaddr=52:54:00:00:00:02", "-net", "user,hostfwd=tcp::1-:1"],
     "virtio-net-pci,netdev=qrap,mac=52:54:00:00:00:02"),
    ("two dashes", ["--enable-kvm"], ["--netdev", "user,id=a", "--device", "e1000,netdev=a"],
     "virtio-net-pci,netdev=a"),
    ("several devices become one", [], [
        "-netdev", "user,id=a", "-device", "e1000,netdev=a,id=one",
        "-netdev", "user,id=b", "-device", "vmxnet3,netdev=b,id=two", "-device", "pcnet"],
     "virtio-net-pci,netdev=a,id=one"),
    ("an unknown model, recognised by its back-end", [],
     ["-device", "quantum-nic,netdev=q"], "virtio-net-pci,netdev=q"),
    ("a filter still finds its back-end",
     ["-object", "filter-dump,id=f,netdev=a,file=x"], ["-netdev", "user,id=a", "-device", "e1000,netdev=a"],
     "virtio-net-pci,netdev=a"),
    ("commas in names are kept", [],
     ["-device", '{"driver":"e1000","netdev":"a,b","id":"c\\"d"}'],
     'virtio-net-pci,netdev=a,,b,id=c"d'),
    ("a driver that can't be a driver is not kept", [],
     ["-device", '{"driver":"virtio-net-=pci","netdev":"a"}'],
     "virtio-net-pci,netdev=a"),
    ("doubled commas", [], ["-device", "e1000,netdev=a,,b,id=c,,"],
     "virtio-net-pci,netdev=a,,b,id=c,,"),
    ("a bridge with a name like a network card",
     PC + ["-device", "i82801b11-bridge,id=pci.1,bus=pci.0,addr=0x1e"], [],
     "virtio-net-pci,netdev=qrap,bus=pci.0,addr=0x1d"),
    ("text that looks like an option", ["-append", "-netdev", "-name", "-version"], [],
     "virtio-net-pci,netdev=qrap"),
    ("malformed JSON is left to qemu", ["-device", '{"driver":"e1000","id":', "-device", "{", "-device",
                                     '{"driver":"e1000"}x', "-device", '{"a":[{"b":"}"}'], [],
     "virtio-net-pci,netdev=qrap"),
    ("JSON with values in values", [],
     ["-device", '{ "x" : [1, {"y": "]}"}] , "driver":"e1000", "n": 1, "netdev":"a" }'],
     "virtio-net-pci,netdev=a"),
    ("an option without its value", ["-m", "1", "-device"], [], "virtio-net-pci,netdev=qrap"),
]


def device_json(props):
    """Writes a device in JSON, from its properties."""
    text = ",".join(f'"{key}":' + (
        {"on": "true"}[value] if key == "multifunction" else
        value if key == "bootindex" else json.dumps(value))
        for key, value in props)
    return "{" + text + "}"


def wanted(keep, device):
    """The command line that qrap must run.

    It gives the device in JSON if there are others in JSON, because qemu makes
    devices in JSON after all others.
    """
    props = [item.replace("\0", ",").split("=", 1)
             for item in f"driver={device}".replace(",,", "\0").split(",")]
    netdev = dict(props)["netdev"].replace(",", ",,")
    if any(word.endswith("-device") and value.startswith("{")
           for word, value in zip(keep, keep[1:])):
        device = device_json(props)
    return keep + ["-netdev", f"socket,fd=5,id={netdev}", "-device", device]


def test_stories():
    with Listener() as passt:
        for name, keep, drop, device in STORIES:
            passt.heard.clear()
            q = Qrap(*(keep + drop or ["-S"]))
            want = wanted(keep if keep + drop else ["-S"], device)
            # Arguments that qrap removes may be anywhere on the line.
            first = Qrap(*(drop + keep)) if drop and keep else q
            if q.argv != want:
                result(name, f"got {q.argv[-4:]} {q.err}, wanted {want[-4:]}")
            elif first.argv != want:
                result(name, f"removed arguments in front: got {first.argv}")
            else:
                result(name, passt.greeted())


PROBES = [
    ["-version"], ["--version"], ["-h"], ["-help"], ["-machine", "help"], ["-M", "?"],
    ["-device", "help"], ["-device", "?"], ["-device", "virtio-net-pci,help"],
    ["-device", "e1000,?"], ["-cpu", "help"], ["-netdev", "help"], ["-accel", "help"],
    ["-M", "none", "-S", "-qmp", "stdio", "-nic", "none"],
    ["-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=kvm:tcg",
     "-qmp", "unix:/var/lib/libvirt/qemu/capabilities.monitor.sock,server=on,wait=off",
     "-pidfile", "/var/lib/libvirt/qemu/capabilities.pidfile", "-daemonize"],
]


def test_probes():
    for args in PROBES:
        q = Qrap(*args)
        result(f"{' '.join(args)[:48]} goes through without passt",
               "" if q.argv == args and not q.status else f"{q.argv} {q.err}")


def test_emulator():
    with Listener():
        os.makedirs("/tmp/first", exist_ok=True)
        os.symlink("/tmp/qrap", f"/tmp/first/{EMULATOR}")
        q = Qrap("-S", program=f"/tmp/first/{EMULATOR}", PATH=f"/tmp/first:/tmp/bin:{os.environ['PATH']}")
        result("qrap under the emulator's name does not run itself",
               "" if q.argv[:1] == ["-S"] else q.err)

        fake("/tmp/bin/qemu-system-toaster")
        with open("/tmp/bin/qemu-system-toaster", "a") as f:
            f.write("echo toaster\n")
        os.symlink("/tmp/qrap", "/tmp/first/qemu-system-toaster")
        q = Qrap("-S", program="/tmp/first/qemu-system-toaster")
        result("qrap under another emulator's name runs that emulator",
               "" if q.argv[-1:] == ["toaster"] else f"{q.argv} {q.err}")

        q = Qrap("-c", "exec 5</dev/null; exec /tmp/qrap -S", program="/bin/sh")
        result("qrap does not overwrite inherited descriptors",
               "" if "socket,fd=6,id=qrap" in q.argv else f"{q.argv} {q.err}")


def main():
    program = os.environ.get("QRAP", os.path.join(BUILD, "qrap"))
    if not os.path.exists(program):
        sys.exit(f"not ok qrap: {program} is missing, run make first")
    with open(program, "rb") as f:
        code = f.read()
    try:
        private_tmp()
    except OSError as e:
        print(f"skip qrap: no private mount namespace: {e}")
        return 0
    with open("/tmp/qrap", "wb") as f:
        f.write(code)
    os.chmod("/tmp/qrap", 0o755)
    fake(f"/tmp/bin/{EMULATOR}")
    fake("/tmp/bin/fake")

    for test in (test_fd, test_bad_fd, test_no_socket, test_stale_socket, test_second_socket, test_foreign_socket,
                 test_restart, test_environment, test_stories, test_probes, test_emulator):
        test()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
