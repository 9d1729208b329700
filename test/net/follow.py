#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""follow.py - The host's network changes while passt runs. After each change,
the guest gets what a passt that starts now would give it. Connections live on
or end as those of the host's own programs.

    guest ==== passt (host) ---- eth0, and later eth1 ---- servers (outside)
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import ownroot
from hostnet import (PEER4, PEER6, SECOND4, SECOND6, SOON, address4,
                     configure_second, connection, echo, gets, make_second,
                     reaches, seen_as)
from netlab import (HOST4, HOST6, Lab, ROUTER4, ROUTER6, SERVER4, Server, check,
                    expect, expect_below, main, rests, spawn_user, wait_for)

OTHER4, OTHER6 = "192.0.2.77", "2001:db8:1::77"
SHORT4 = "192.0.2.78"
OFFLINE4 = "169.254.2.1"
RESOLV = "/etc/resolv.conf"
STORM = 2000            # changes


def offline(lab):
    """Given a host without addresses, when it gets some, then so does the
    guest."""
    lab.host.ip("link set eth0 down", "addr flush dev eth0",
                "route flush table main", "-6 addr flush dev eth0")
    make_second(lab)
    passt = lab.passt("-t", "%eth1/7777", "--multicast")
    guest = lab.attach(configure=False)
    with check("offline, the guest gets an address of its own"):
        gets(lab, OFFLINE4)
    with check("the host gets IPv4, and so does the guest"):
        lab.host.ip("link set eth0 up", f"addr add {HOST4}/24 dev eth0",
                    f"route add default via {ROUTER4}")
        gets(lab, HOST4)
        reaches(lab, HOST4)
    with check("the host gets IPv6, and so does the guest"):
        lab.host.ip(f"addr add {HOST6}/64 dev eth0 nodad",
                    f"route add default via {ROUTER6} dev eth0")
        gets(lab, HOST4, "2001:db8:1:0")
        reaches(lab, HOST4, HOST6)
    return passt, guest


def without_guest(lab, passt, guest):
    """Ends the guest. Returns passt's number of descriptors then."""
    left = lab.messages().count("guest disconnected")
    guest.kill()
    wait_for("end of the guest", lambda:
             lab.messages().count("guest disconnected") > left)
    return passt.descriptors()


def replaced(lab):
    """Given connections, when the host's addresses are replaced, then the
    connections end within 3 s, and new ones have the new address."""
    cases = (("IPv4", HOST4, OTHER4, [f"addr del {HOST4}/24 dev eth0",
                                      f"addr add {OTHER4}/24 dev eth0",
                                      f"route add default via {ROUTER4}"]),
             ("IPv6", HOST6, OTHER6, [f"addr del {HOST6}/64 dev eth0",
                                      f"addr add {OTHER6}/64 dev eth0 nodad"]))
    for n, (name, old, new, changes) in enumerate(cases):
        with check(f"another {name} address"):
            with connection(lab, n, old) as conn:
                began = time.monotonic()
                lab.host.ip(*changes)
                conn.settimeout(5)
                with contextlib.suppress(ConnectionResetError):
                    expect("data", conn.recv(1), None)
                expect_below("seconds until the end",
                             time.monotonic() - began, 3)
            gets(lab, new if n == 0 else None)
            with connection(lab, n, new):
                pass


def datagrams(lab):
    """Given UDP and ping in use, when the host's address is replaced, then
    the same sockets of the guest go on, from the new address."""
    with check("UDP and ping from another address"), \
            lab.outside.bind(SERVER4, 0, socket.SOCK_DGRAM) as server, \
            lab.guest.connect(SERVER4, server.getsockname()[1], 5,
                              socket.SOCK_DGRAM) as conn:
        def source():
            conn.send(b"x")
            return server.recvfrom(10)[1][0]

        server.settimeout(5)
        expect("source", source(), OTHER4)
        pings = lab.guest.spawn("ping", "-c", "10", "-i", "0.5", SERVER4,
                                stdout=subprocess.PIPE, text=True)
        lab.host.ip(f"addr del {OTHER4}/24 dev eth0",
                    f"addr add {HOST4}/24 dev eth0",
                    f"route add default via {ROUTER4}")
        time.sleep(2.5)
        expect("source afterwards", source(), HOST4)
        received = re.search(r"(\d+) received", pings.communicate()[0])[1]
        expect_below("lost pings", 10 - int(received), 3)
        lab.host.ip(f"addr del {HOST4}/24 dev eth0",
                    f"addr add {OTHER4}/24 dev eth0",
                    f"route add default via {ROUTER4}")
        gets(lab, OTHER4)


def summary(lab, passt):
    """Given SIGUSR1, then passt logs the network that the guest has now."""
    with check("SIGUSR1 shows the network that is in force"):
        seen = lab.messages().count("counters: flows")
        os.kill(passt.pid, signal.SIGUSR1)
        wait_for("counters",
                 lambda: lab.messages().count("counters: flows") > seen)
        text = lab.messages().rpartition("Guest:\n")[2]
        want = [f"  address     {OTHER4}/24\n", f"  address     {OTHER6}/64\n",
                "ports that wait until they can be bound 0\n"]
        expect("missing lines", [x for x in want if x not in text], [])


def flickers(lab):
    """Given a connection, when its address is removed and set again within a
    second, then the connection lives on."""
    with check("an address that comes back was never gone"):
        with connection(lab, 0, OTHER4) as conn:
            lab.host.ip(f"addr del {OTHER4}/24 dev eth0")
            time.sleep(0.4)
            lab.host.ip(f"addr add {OTHER4}/24 dev eth0",
                        f"route add default via {ROUTER4}")
            time.sleep(2)
            expect("source address", seen_as(conn), OTHER4)


def limit(lab, passt, descriptors):
    """Sets passt's limit of descriptors, as the user of passt: no capability
    is needed for that."""
    expect("prlimit", spawn_user(lab.host, [
        "prlimit", "--pid", str(passt.pid), f"--nofile={descriptors}:"]).wait(),
        0)


def shortage(lab, passt):
    """Given no free descriptor, when the host changes, then the guest keeps
    its network, and gets the new one as soon as there are descriptors."""
    with check("no descriptor to read the host with"):
        limit(lab, passt, "3")
        lab.host.ip(f"addr add {SHORT4}/24 dev eth0 metric 1",
                    f"route prepend default via {ROUTER4} src {SHORT4}")
        time.sleep(0.5)
        expect("lease", address4(lab), OTHER4)
        limit(lab, passt, "1000")
        gets(lab, SHORT4)
        lab.host.ip(f"route del default via {ROUTER4} src {SHORT4}",
                    f"addr del {SHORT4}/24 dev eth0")
        gets(lab, OTHER4)


def joined(lab, interface):
    """Whether the groups of mDNS are joined on an interface, per family."""
    groups = lab.host.run("ip", "maddr", "show", "dev", interface)
    return "224.0.0.251" in groups, "ff02::fb" in groups


ROUTES = {
    "a better default route": (
        f"route prepend default via {PEER4}",
        f"-6 route add default via {PEER6} metric 1"),
    "routes to both halves of all addresses": (
        f"route add 0.0.0.0/1 via {PEER4}",
        f"route add 128.0.0.0/1 via {PEER4}",
        f"-6 route add ::/1 via {PEER6}", f"-6 route add 8000::/1 via {PEER6}"),
    "a rule for another table": (
        f"route add default via {PEER4} table 100",
        f"-6 route add default via {PEER6} table 100",
        "rule add pref 100 table 100", "-6 rule add pref 100 table 100"),
    "rules as WireGuard sets them": (
        f"route add default via {PEER4} table 100",
        f"-6 route add default via {PEER6} table 100",
        "rule add pref 101 table main suppress_prefixlength 0",
        "rule add pref 102 not fwmark 0xca6c table 100",
        "-6 rule add pref 101 table main suppress_prefixlength 0",
        "-6 rule add pref 102 not fwmark 0xca6c table 100"),
}


def rerouted(lab):
    """Given connections, when the host's traffic takes another interface, and
    then the former one again, then new connections do the same, and those that
    are open live on."""
    configure_second(lab)
    for name, changes in ROUTES.items():
        with check(name), connection(lab, 0, OTHER4) as held4, \
                connection(lab, 1, OTHER6) as held6:
            lab.host.ip(*changes)
            gets(lab, SECOND4, "2001:db8:7:0")
            reaches(lab, SECOND4, SECOND6)
            expect("groups", joined(lab, "eth1"), (True, True))
            expect("groups of before", joined(lab, "eth0"), (False, False))
            expect("connection of before", seen_as(held4), OTHER4)
            expect("connection of before", seen_as(held6), OTHER6)
            lab.host.ip(*[re.sub("add|prepend", "del", change)
                          for change in reversed(changes)])
            gets(lab, OTHER4, "2001:db8:1:0")
            reaches(lab, OTHER4, OTHER6)


def deleted(lab):
    """Given a port that is forwarded from an interface, when the interface is
    deleted and made anew, then the port is, too."""
    with check("a forwarded port on an interface that comes back"):
        lab.host.ip("link del eth1")
        wait_for("a port that waits",
                 lambda: "wait until they can be bound" in lab.messages(), SOON)
        make_second(lab)
        configure_second(lab)
        wait_for("the port",
                 lambda: "%eth1:7777" in lab.host.run("ss", "-Hltn"), SOON)
        with Server(lab.guest.bind("0.0.0.0", 7777), echo), \
                lab.outside.connect(SECOND4, 7777) as conn:
            expect("an answer", seen_as(conn) is not None, True)


def write(path, *resolvers):
    with open(path, "w", encoding="ascii") as file:
        file.write("".join(f"nameserver {a}\n" for a in resolvers))


def resolvers(lab):
    """Given resolv.conf, when it changes in any way, then the guest gets the
    new resolvers."""
    def gives(*want):
        wait_for(f"resolvers {want}", lambda: tuple(
            lab.dhcp().get("dns", "").split()) == want, SOON)

    with check("resolv.conf is written again"):
        write(RESOLV, "198.51.100.53")
        gives("198.51.100.53")
    with check("resolv.conf is replaced by another file"):
        write("/etc/new", "198.51.100.54", "198.51.100.55")
        os.rename("/etc/new", RESOLV)
        gives("198.51.100.54", "198.51.100.55")
    with check("resolv.conf becomes a link to a file that is not there yet"):
        os.unlink(RESOLV)
        os.symlink("/run/later/stub", RESOLV)
        gives()
        os.mkdir("/run/later")
        os.chmod("/run/later", 0o755)
        write("/run/later/stub", "198.51.100.56")
        gives("198.51.100.56")
    with check("the target of the link is written again"):
        write("/run/later/stub", "198.51.100.57")
        gives("198.51.100.57")


def storm(lab, passt):
    """Given 1,000 changes a second, then passt takes less than 5 % of a CPU,
    and has the last state at the end."""
    with check(f"{STORM} changes in two seconds"):
        lines = [f"addr {what} 203.0.115.{i % 200 + 1}/32 dev eth0\n"
                 for i in range(STORM // 2) for what in ("add", "del")]
        began, cpu = time.monotonic(), passt.cpu()
        batch = f"{lab.dir}/batch"
        for i in range(0, STORM, 100):
            with open(batch, "w", encoding="ascii") as file:
                file.writelines(lines[i:i + 100])
            lab.host.run("ip", "-batch", batch)
            time.sleep(max(0, began + (i + 100) / 1000 - time.monotonic()))
        took = time.monotonic() - began
        expect_below("share of a CPU", (passt.cpu() - cpu) / took, 0.05)
        gets(lab, OTHER4, "2001:db8:1:0")
        reaches(lab, OTHER4, OTHER6)


def story():
    ownroot.enter()
    os.chmod("/run", 0o755)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(RESOLV)
    write(RESOLV, SERVER4)
    with Lab() as lab:
        passt, guest = offline(lab)
        idle = without_guest(lab, passt, guest)
        guest = lab.attach()
        replaced(lab)
        datagrams(lab)
        summary(lab, passt)
        flickers(lab)
        shortage(lab, passt)
        rerouted(lab)
        deleted(lab)
        resolvers(lab)
        storm(lab, passt)
        with check("after all, passt rests and holds nothing"):
            rests(passt)
            expect("descriptors", without_guest(lab, passt, guest), idle)


if __name__ == "__main__":
    main(story)
