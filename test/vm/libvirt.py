#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""libvirt.py - Tests a guest of libvirt, which also starts passt.

    guest in qemu ==== passt ---- servers (outside)
         |               |
         +-- libvirtd ---+  (host)

libvirtd and virtlogd run in the host's namespace, as root for qemu:///system,
and as an ordinary user for qemu:///session. The guest has the interface of an
example in contrib/examples, over a socket or over vhost-user. netlab.py has the
topology, newer.py libvirt.
"""

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
import newer                                                # noqa: E402
import ownroot                                              # noqa: E402
import qemu                                                 # noqa: E402
from netlab import (HOST4, HOST6, Lab, MS_BIND, PASST,      # noqa: E402
                    PR_SET_CHILD_SUBREAPER, SERVER4, SERVER6, FAMILIES,
                    Server, call, check, echo_tcp, echo_udp, echoes, expect,
                    wait_for)

EXAMPLES = os.path.join(vm.TOP, "contrib", "examples")
SOCKET, SHARED = "libvirt.xml", "libvirt-vhostuser.xml"
GUEST_UID, ALICE = 990, 1990
BOOT = 90.0             # s until a guest has booted
AGAIN = 20.0            # s until a guest works after passt was killed: libvirt
                        # restarts passt, and qemu tries to connect every 5 s

# Forwarded ports of both examples, (host, guest): on all addresses, and on one
# address and interface; UDP ports that the range 5000 to 5020 excludes.
ALL, ONE, LEFT_OUT = (2222, 22), (8080, 80), (5010, 5011)

SYSTEM = f"""
user = "libvirt-qemu"
group = "libvirt-qemu"
security_driver = "none"
dynamic_ownership = 0
namespaces = []
cgroup_controllers = []
"""

# A domain for the tests, to which interface and memory of an example are added
DOMAIN = """
<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>{memory}</memory>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{folder}/vmlinuz</kernel>
    <initrd>{folder}/initramfs</initrd>
    <cmdline>console=ttyS0 loglevel=4 panic=-1 net.ifnames=0
      random.trust_cpu=on mitigations=off</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <serial type='file'><source path='{folder}/console.log'/></serial>
    <channel type='unix'>
      <source mode='bind' path='{folder}/agent'/>
      <target type='virtio' name='agent'/>
    </channel>
    <memballoon model='none'/>
  </devices>
</domain>
"""


class Domain:
    """A running guest. Its agent runs commands in it."""

    def __init__(self, folder):
        self.folder = folder
        self.agent = vm.Agent(vm.connect(f"{folder}/agent"))
        self.agent.run("true", BOOT)

    def run(self, script, timeout=60.0):
        status, output = self.agent.run(script, timeout)
        if status:
            raise AssertionError(f"guest: {script}: exit {status}: {output}")
        return output


class Libvirt:
    """libvirtd and virtlogd of a user, in the host's namespace."""

    def __init__(self, lab, uri, folder, uid=0, home="/root"):
        self.lab = lab
        self.folder = folder
        self.user = {} if uid == 0 else {
            "user": uid, "group": uid, "extra_groups": []}
        os.mkdir(folder, 0o755)
        runtime = f"/run/user/{uid}"
        os.makedirs(runtime, 0o700)
        os.chown(runtime, uid, uid)
        os.chown(folder, uid or GUEST_UID, uid or GUEST_UID)
        self.env = dict(os.environ, HOME=home, XDG_RUNTIME_DIR=runtime,
                        LIBVIRT_DEFAULT_URI=uri, LC_ALL="C.UTF-8")
        for name in "XDG_CONFIG_HOME", "XDG_CACHE_HOME":
            self.env.pop(name, None)
        self.log = open(f"/var/log/libvirt-test-{uid}.log", "w+")
        self.daemons = []
        for program in "virtlogd", "libvirtd":
            config = f"/etc/libvirt/test-{program}.conf"
            with open(config, "w") as file:
                file.write('auth_unix_rw = "none"\n' if uid == 0 and
                           program == "libvirtd" else "")
            self.daemons.append(lab.host.spawn(
                f"/usr/sbin/{program}", "-f", config, stdout=self.log,
                stderr=self.log, env=self.env, cwd="/", **self.user))
            time.sleep(0.5)
        wait_for("libvirtd", lambda: self.virsh("version", status=None)
                 .returncode == 0, 60)

    def virsh(self, *args, status=0):
        """Runs virsh. Returns its exit status and output."""
        p = self.lab.host.spawn("virsh", "-q", *args, env=self.env,
                                stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.STDOUT, cwd="/", **self.user)
        p.said, _ = p.communicate(timeout=120)
        if status is not None and p.returncode != status:
            raise AssertionError(f"virsh {' '.join(args)}: exit "
                                 f"{p.returncode}: {p.said}")
        return p

    def passts(self):
        """Pids of all processes of passt that have a socket, by its path."""
        return {words[words.index("--socket") + 1]: pid
                for pid, words in processes()
                if words[0].endswith("passt") and "--socket" in words}

    def file(self, name, element):
        """Writes an element of XML to a file. Returns its path."""
        path = f"{self.folder}/{name}.xml"
        xml.ElementTree(element).write(path)
        os.chmod(path, 0o644)
        return path

    def end(self):
        """Ends the daemons; kills a guest and its passt if any are left."""
        for daemon in reversed(self.daemons):
            daemon.terminate()
            daemon.wait(30)
        for pid, words in processes():
            if any(self.folder in word for word in words):
                os.kill(pid, signal.SIGKILL)
        self.log.close()


def processes():
    """(pid, command line) of each process."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(path, errors="replace") as f:
            yield int(path.split("/")[2]), f.read().split("\0")


def domain(folder, example, log):
    """A domain with interface and memory of an example, and with @log as
    passt's log file."""
    wanted = xml.parse(os.path.join(EXAMPLES, example)).getroot()
    interface = wanted.find("devices/interface")
    interface.find("backend").set("logFile", log)
    found = xml.fromstring(DOMAIN.format(folder=folder, memory=vm.MEMORY))
    found.find("devices").append(interface)
    found.extend(wanted.findall("memoryBacking"))
    return found


def second_interface():
    return xml.fromstring("""
        <interface type='user'>
          <mac address='52:54:00:70:61:74'/>
          <source dev='eth0'/>
          <model type='virtio'/>
          <backend type='passt'/>
          <portForward proto='tcp'><range start='2322' to='22'/></portForward>
        </interface>""")


#
# Checks.
#

def examples_are_valid():
    for name in SOCKET, SHARED:
        with check(f"{name} is what libvirt's schema allows"):
            p = subprocess.run(
                ["virt-xml-validate", os.path.join(EXAMPLES, name), "domain"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            expect(f"exit status, {p.stdout}", p.returncode, 0)


def goes_out(lab, guest, name):
    """When the guest connects to servers outside, then they answer."""
    for family, addr in FAMILIES:
        with check(f"{name}: out by TCP and UDP, IPv{family}"), \
                Server(lab.outside.bind(addr), echo_tcp) as tcp, \
                Server(lab.outside.bind(addr, 0, socket.SOCK_DGRAM),
                       echo_udp) as udp:
            for kind, port in ("TCP", tcp.port), ("UDP", udp.port):
                got = guest.run(f"echo {kind} | socat -t 5 - "
                                f"{kind}:{qemu.at(addr)}:{port},readbytes=4")
                expect("echo", got, f"{kind}\n")


def listens(guest):
    """Starts echo servers in the guest on all ports of the example, also on
    those that it excludes."""
    for port in ALL[1], ONE[1]:
        guest.run(f"socat TCP6-LISTEN:{port},fork,ipv6only=0,reuseaddr "
                  "EXEC:cat >/dev/null 2>&1 &")
    for port in 5000, 5009, *LEFT_OUT, 5020:
        guest.run(f"socat UDP6-LISTEN:{port},fork,ipv6only=0 EXEC:cat "
                  ">/dev/null 2>&1 &")
    guest.run("until [ $(netstat -ltnu | grep -cE ':(22|80|50..) ') -ge 7 ]; "
              "do sleep 0.1; done", 10)


def answers_udp(lab, addr, port):
    with lab.outside.connect(addr, port, 1, socket.SOCK_DGRAM) as s:
        for _ in range(3):
            s.send(b"hello")
            try:
                return s.recv(100) == b"hello"
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                return False
    return False


def comes_in(lab, guest, name):
    """When peers outside connect to forwarded ports, then the guest answers."""
    listens(guest)
    for family, addr in ("4", HOST4), ("6", HOST6):
        with check(f"{name}: in by TCP{family}, a port of all addresses"), \
                lab.outside.connect(addr, ALL[0]) as s:
            echoes(s)
        with check(f"{name}: in by UDP{family}, a range but for two"):
            expect("ports that answer",
                   [port for port in (5000, 5009, *LEFT_OUT, 5020)
                    if answers_udp(lab, addr, port)], [5000, 5009, 5020])
    with check(f"{name}: in by TCP, address and interface"), \
            lab.outside.connect(HOST4, ONE[0]) as s:
        echoes(s)
    with check(f"{name}: in by TCP, not by another address"):
        try:
            lab.outside.connect(HOST6, ONE[0]).close()
        except ConnectionRefusedError:
            return
        raise AssertionError("it is forwarded by IPv6, too")


def has_lease(guest, name):
    with check(f"{name}: the guest configures its network"):
        guest.run("net", 60)
        expect("address", HOST4 in guest.run("cat /run/lease4"), True)
        expect("address", HOST6 in guest.run("cat /run/lease6"), True)


def still_there(lab, guest):
    """Waits until the guest reaches a server outside, and peers outside reach
    the guest."""
    def both():
        with Server(lab.outside.bind(SERVER6), echo_tcp) as server:
            status, said = guest.agent.run(
                "echo on | timeout 3 socat -t 2 - "
                f"TCP:{qemu.at(SERVER6)}:{server.port},connect-timeout=2")
        if said != "on\n":
            return False
        try:
            with lab.outside.connect(HOST4, ALL[0], 2) as s:
                echoes(s)
        except (OSError, AssertionError):
            return False
        return True
    wait_for("traffic both ways", both, AGAIN, 0.5)


def killed(lab, libvirt, guest, name):
    """When passt is killed, then libvirt starts it again, and the guest's
    network works again."""
    with check(f"{name}: passt killed, the guest goes on"):
        (path, pid), = libvirt.passts().items()
        os.kill(pid, signal.SIGKILL)
        wait_for("another passt", lambda: libvirt.passts().get(path)
                 not in (None, pid), AGAIN)
        still_there(lab, guest)


def second(lab, libvirt, guest):
    """When a second interface is attached, then its passt starts; when it is
    detached, then its passt ends."""
    path = libvirt.file("second", second_interface())
    before = libvirt.passts()
    with check("system: a second interface is attached, and works"):
        libvirt.virsh("attach-device", "guest", path)
        guest.run("until [ -e /sys/class/net/eth1 ]; do sleep 0.1; done", 20)
        guest.run("ip link set eth1 up; udhcpc -i eth1 -s /bin/true -f -q -n -t 5 -T 1", 30)
        expect("programs", len(libvirt.passts()), 2)
    with check("system: detached, its passt and socket are gone"):
        libvirt.virsh("detach-device", "guest", path)
        wait_for("end of the second passt",
                 lambda: libvirt.passts() == before, 20)
        expect("files", traces(lambda name: "net1" in name), [])
        still_there(lab, guest)


def rests_and_starts(lab, libvirt, guest, name):
    with check(f"{name}: suspended and resumed, the guest goes on"):
        libvirt.virsh("suspend", "guest")
        time.sleep(2)
        libvirt.virsh("resume", "guest")
        still_there(lab, guest)
    with check(f"{name}: reset, the guest gets its network again"):
        libvirt.virsh("reset", "guest")
        guest.agent.close()
        guest = Domain(guest.folder)
        guest.run("net", 60)
        listens(guest)
        still_there(lab, guest)
    return guest


def busy(lab, libvirt):
    """When another program has a port, then virsh prints passt's whole
    message."""
    with check("system: a busy port's message reaches the user whole"), \
            lab.host.bind("::", 2322):
        p = libvirt.virsh("attach-device", "guest", libvirt.file(
            "busy", second_interface()), status=None)
        expect("exit status", p.returncode, 1)
        for what in ("TCP port 2322 can't be bound", "Address already in use",
                     "stop what uses it, or forward another port"):
            expect(f"{what!r} in {p.said!r}", what in p.said, True)


def traces(wanted=lambda name: True):
    """Sockets and pid files of passt in libvirt's state folders."""
    return [path for folder in ("/run/libvirt/qemu/passt",
                                f"/run/user/{ALICE}/libvirt/qemu/run/passt")
            for path in glob.glob(f"{folder}/*") if wanted(path)]


def destroyed(libvirt, name):
    with check(f"{name}: destroyed, no process, socket or pid file is left"):
        expect("there was one", bool(traces() and libvirt.passts()), True)
        libvirt.virsh("destroy", "guest")
        wait_for("end of passt", lambda: not libvirt.passts(), 10)
        expect("files", traces(), [])


def start(libvirt, name, example):
    """Starts a domain with the example's interface. Returns it when it has
    booted."""
    folder, log = libvirt.folder, f"{libvirt.folder}/passt.log"
    for source, target in (vm.CLOUD.kernel, "vmlinuz"), \
            (vm.CLOUD.initramfs, "initramfs"):
        shutil.copy(source, f"{folder}/{target}")
        os.chmod(f"{folder}/{target}", 0o644)
    libvirt.virsh("create", libvirt.file(
        "domain", domain(folder, example, log)))
    guest = Domain(folder)
    with check(f"{name}: passt is an ordinary user's, with a log file"):
        pid, = libvirt.passts().values()
        expect("not root", os.stat(f"/proc/{pid}").st_uid in (
            GUEST_UID, ALICE), True)
        expect("log file", os.path.exists(log), True)
        expect("over vhost-user", "--vhost-user" in dict(processes())[pid],
               example == SHARED)
    os.unlink(log)
    return guest


def system(lab, libvirt):
    """Given libvirtd as root, then its guest's network works, even after passt
    was killed, an interface was attached, or the guest was reset."""
    guest = start(libvirt, "system", SOCKET)
    has_lease(guest, "system")
    goes_out(lab, guest, "system")
    comes_in(lab, guest, "system")
    killed(lab, libvirt, guest, "system")
    second(lab, libvirt, guest)
    busy(lab, libvirt)
    rests_and_starts(lab, libvirt, guest, "system")
    destroyed(libvirt, "system")


def shared(lab, libvirt):
    """Given an interface over vhost-user, then the guest's network works, even
    after passt was killed or the guest was reset."""
    guest = start(libvirt, "vhost-user", SHARED)
    qemu.offloads(guest, "vhost-user")
    has_lease(guest, "vhost-user")
    goes_out(lab, guest, "vhost-user")
    comes_in(lab, guest, "vhost-user")
    killed(lab, libvirt, guest, "vhost-user")
    rests_and_starts(lab, libvirt, guest, "vhost-user")
    destroyed(libvirt, "vhost-user")


def session(lab, libvirt):
    """Given libvirtd as an ordinary user, then its guest's network works."""
    guest = start(libvirt, "session", SOCKET)
    has_lease(guest, "session")
    goes_out(lab, guest, "session")
    comes_in(lab, guest, "session")
    destroyed(libvirt, "session")


def without_kvm():
    """Hides /dev/kvm behind an empty file, in this namespace.

    Where only root may use KVM, libvirtd asks qemu for its capabilities as
    root, and then rejects the answer, because the guests' user can't use KVM.
    So it would ask again some twenty times for each domain.
    """
    if os.path.exists("/dev/kvm"):
        os.close(os.open("/run/no-kvm", os.O_CREAT, 0o600))
        ownroot.mount("/run/no-kvm", "/dev/kvm", None, MS_BIND)


def story():
    newer.enter()
    without_kvm()
    newer.add_user("libvirt-qemu", GUEST_UID)
    home = newer.add_user("alice", ALICE)
    with open("/etc/libvirt/qemu.conf", "w") as file:
        file.write(SYSTEM)
    with open("/etc/resolv.conf", "w") as file:
        file.write(f"nameserver {SERVER4}\nnameserver {SERVER6}\n")
    shutil.copy(PASST, "/usr/bin/passt")
    examples_are_valid()
    # Don't be a subreaper: libvirtd waits until qemu has ended, so init must
    # inherit and reap qemu when it ends.
    call("prctl", PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    for name, uid, place, parts in ("system", 0, "/root", (system, shared)), \
            ("session", ALICE, home, (session,)):
        with check(f"{name}: libvirt starts guests and ends them"), \
                Lab() as lab:
            libvirt = Libvirt(lab, f"qemu:///{name}", f"/var/home/{name}",
                              uid, place)
            try:
                for part in parts:
                    part(lab, libvirt)
            finally:
                libvirt.end()


if __name__ == "__main__":
    newer.run("libvirt", story)
