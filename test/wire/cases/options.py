# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tests of options: their effect on the wire, and messages about wrong ones."""
import os
import signal
import socket
import struct
import subprocess
import time

from lib import dhcp, netns, packet, tcp
from lib.case import Failure, both, main, test
from lib.dhcp import ADVERTISE, DISCOVER, INFORMATION, OFFER, SOLICIT, ask, \
    ask6, kind, wanted
from lib.guest import Guest
from lib.netns import DNS, GATEWAY, HOST, LOOPBACK, PEER
from lib.packet import ICMPV6
from lib.passt import PROGRAM, SLOW

ALL = (1, 3, 6, 15, 26, 119, 121)
NA, RA = 136, 134


def offer(g, *codes):
    _, m = ask(g, [kind(DISCOVER), wanted(*(codes or ALL))])
    if m is None or m.kind != OFFER:
        raise Failure("no OFFER")
    return m


def advert6(g, *codes):
    _, m = ask6(g, SOLICIT, dhcp.ia_na(), dhcp.oro(*(codes or (23, 24))))
    if m is None or m.kind != ADVERTISE:
        raise Failure("no ADVERTISE")
    return m


def solicit_router(g):
    g.send_ip("ff02::2", ICMPV6, packet.icmp(
        g.link_local, "ff02::2", 133, 0, bytes(4)), src=g.link_local,
        ttl=255, dmac=packet.multicast_mac("ff02::2"))


def router_advert(g):
    """Asks for a router advertisement. Returns its source address, and its
    options as a dictionary."""
    solicit_router(g)
    p = g.expect(lambda p: p.icmp and p.icmp.kind == RA and
                 p.dst == g.link_local, "router advertisement")
    out, b = {}, p.l4[16:]
    while b:
        out[b[0]] = b[2:b[1] * 8]
        b = b[b[1] * 8:]
    return p.src, out


def silent(g, match, what, seconds=0.4):
    g.silence(match, f"{what} is off", seconds)


def equal(what, got, want):
    if got != want:
        raise Failure(f"{what} is {got}, not {want}")


def tcp_works(w, g, v):
    server = w.server(v)
    tcp.Conn(g, PEER[v], server.getsockname()[1], mss=1460).connect()
    w.accept(server)


# --- families and services

@test("-4")
def no_ipv6_at_all(w):
    g = w.guest("-4")
    g.send_ns(GATEWAY[6])
    solicit_router(g)
    server = w.server(6)
    tcp.Conn(g, PEER[6], server.getsockname()[1], mss=1460).syn()
    ask6(g, SOLICIT, dhcp.ia_na(), timeout=0.01)
    silent(g, lambda p: p.v == 6, "IPv6", 1)
    offer(g)
    tcp_works(w, g, 4)


@test("-6")
def no_ipv4_at_all(w):
    g = w.guest("-6")
    g.send_arp(GATEWAY[4])
    ask(g, [kind(DISCOVER)], timeout=0.01)
    server = w.server(4)
    tcp.Conn(g, PEER[4], server.getsockname()[1], mss=1460).syn()
    silent(g, lambda p: p.v == 4 or p.arp, "IPv4", 0.6)
    advert6(g)
    tcp_works(w, g, 6)


@test("--no-dhcp")
def dhcp_is_silent(w):
    g = w.guest("--no-dhcp")
    p, _ = ask(g, [kind(DISCOVER)], timeout=0.4)
    if p:
        raise Failure("DHCP answers")
    advert6(g)
    tcp_works(w, g, 4)


@test("--no-dhcpv6")
def dhcpv6_is_silent(w):
    g = w.guest("--no-dhcpv6")
    for k in (SOLICIT, INFORMATION):
        p, _ = ask6(g, k, timeout=0.3)
        if p:
            raise Failure("DHCPv6 answers")
    offer(g)


@test("--no-ndp")
def neighbour_discovery_is_silent(w):
    g = w.guest("--no-ndp")
    g.send_ns(GATEWAY[6])
    silent(g, g.is_icmp(NA), "NDP")
    tcp_works(w, g, 6)


@test("--no-icmp")
def it_implies_no_ndp(w):
    g = w.guest("--no-icmp")
    g.send_ns(GATEWAY[6])
    silent(g, g.is_icmp(NA), "NDP")
    tcp_works(w, g, 6)


@test("--no-ra")
def no_router_advertisements(w):
    g = w.guest("--no-ra")
    solicit_router(g)
    silent(g, g.is_icmp(RA), "RA", 2)
    g.send_ns(GATEWAY[6])
    g.expect(g.is_icmp(NA), "neighbour advertisement")


# --- addresses

@test("-a")
def another_ipv4_address_with_its_class(w):
    g = w.guest("-a", "10.20.30.40", hello=False)
    m = offer(g)
    equal("address", m.yiaddr, "10.20.30.40")
    equal("mask", m.addrs(1), ["255.0.0.0"])


@test("-a")
def address_and_length(w):
    g = w.guest("-a", "10.20.30.40/20", hello=False)
    m = offer(g)
    equal("address", m.yiaddr, "10.20.30.40")
    equal("mask", m.addrs(1), ["255.255.240.0"])


@test("-n")
def netmask_dotted_and_in_bits(w):
    for n, want in (("255.255.0.0", "255.255.0.0"), ("29",
                                                     "255.255.255.248")):
        g = w.guest("-a", "10.20.30.40", "-n", n, hello=False)
        equal("mask", offer(g).addrs(1), [want])
        g.close()


@test("-a")
def another_ipv6_address(w):
    g = w.guest("-a", "2001:db8:77::5/64", hello=False)
    addrs = advert6(g).ias()[1][2]
    equal("address", [a[0] for a in addrs], ["2001:db8:77::5"])
    _, opts = router_advert(g)
    equal("prefix", packet.ntop(opts[3][14:30]), "2001:db8:77::")
    equal("length", opts[3][0], 64)


SEVERAL = ("-a", "10.20.30.40/24", "-a", "2001:db8:77::5",
           "-a", "10.20.30.41", "-a", "2001:db8:78::5/64",
           "-a", "2001:db8:77::6/64", "-a", "2001:db8:79::5/128")
SEVERAL6 = [a for a in SEVERAL if ":" in a]


@test("-a")
def several_addresses_are_all_given_but_of_dhcp(w):
    """DHCP offers the first address. DHCPv6 gives all addresses to the first
    IA, and confirms them later."""
    want = [a.partition("/")[0] for a in SEVERAL6]
    g = w.guest(*SEVERAL, hello=False)
    m = offer(g)
    equal("DHCP", (m.yiaddr, m.addrs(1)), ("10.20.30.40", ["255.255.255.0"]))
    _, m = ask6(g, SOLICIT, dhcp.ia_na(1), dhcp.ia_na(2))
    equal("addresses", [a[0] for a in m.ias()[1][2]], want)
    equal("those of the second IA", m.ias()[2][2], [])
    _, m = ask6(g, dhcp.REBIND, dhcp.ia_na(1, b"".join(
        dhcp.iaaddr(a) for a in (*want, "2001:db8:77::7"))))
    equal("lifetimes of known addresses and another",
          [a[2] for a in m.ias()[1][2]], [86400] * len(want) + [0])
    for addr, status in (*((a, 0) for a in want), ("2001:db8:80::1", 4)):
        _, m = ask6(g, dhcp.CONFIRM, dhcp.ia_na(1, dhcp.iaaddr(addr)))
        equal(f"status of {addr}", m.status or 0, status)


@test("-a")
def each_prefix_of_several_addresses_is_announced_once(w):
    g = w.guest(*SEVERAL, hello=False)
    solicit_router(g)
    p = g.expect(lambda p: p.icmp and p.icmp.kind == RA and
                 p.dst == g.link_local, "router advertisement")
    prefixes, b = [], p.l4[16:]
    while b:
        if b[0] == 3:
            prefixes.append((packet.ntop(b[16:32]), b[2]))
        b = b[b[1] * 8:]
    equal("prefixes", prefixes,
          [("2001:db8:77::", 64), ("2001:db8:78::", 64)])


@test("-a", both)
def each_of_several_addresses_works_and_none_is_taken(w, v):
    g = w.guest(*SEVERAL, hello=False)
    for addr in (a.partition("/")[0] for a in SEVERAL if a != "-a"):
        if packet.family(addr) != v:
            continue
        g.addr = {**g.addr, v: addr}
        tcp_works(w, g, v)
        if v == 4:
            g.send_arp("10.20.30.40")
            g.send_arp("10.20.30.41")
            g.silence(g.is_arp(), "both are the guest's")


@test("-a", both)
def a_guest_that_shares_no_address_with_the_host(w, v):
    g = w.guest("-a", "10.20.30.40/24", "-a", "2001:db8:77::5",
                hello=False)
    g.addr = {4: "10.20.30.40", 6: "2001:db8:77::5"}
    tcp_works(w, g, v)


@test("--lease-time")
def both_families_have_the_lease_time(w):
    """T1 is 5 minutes, or half of a lease that is shorter than 10 minutes; T2
    is 7/8 of the lease."""
    forever = 0xffffffff
    for option, time, t1, t2 in (
            (None, 86400, 300, 75600), ("3600", 3600, 300, 3150),
            ("20", 20, 10, 18), ("infinite", forever, forever, forever)):
        g = w.guest(*("--lease-time", option) if option else ())
        _, m = ask(g, [kind(DISCOVER), wanted(51, 58, 59)])
        equal("DHCP", [m.number(n) for n in (51, 58, 59)], [time, t1, t2])
        got1, got2, addrs, _ = advert6(g).ias()[1]
        equal("DHCPv6", (got1, got2, addrs),
              (t1, t2, [(HOST[6], time, time)]))
        g.close()


@test("-g")
def another_gateway(w):
    g = w.guest("-g", "192.0.2.9", hello=False)
    p, m = ask(g, [kind(DISCOVER), wanted(*ALL)])
    equal("router", m.addrs(3), ["192.0.2.9"])
    g.send_arp("192.0.2.9")
    g.expect(g.is_arp("192.0.2.9"), "ARP reply")
    local = w.server(4, LOOPBACK[4], where=w.net.host)
    tcp.Conn(g, "192.0.2.9", local.getsockname()[1], mss=1460).connect()


@test("-g")
def another_ipv6_gateway(w):
    g = w.guest("-g", "fe80::9", hello=False)
    src, _ = router_advert(g)
    equal("source of RA", src, "fe80::9")
    local = w.server(6, LOOPBACK[6], where=w.net.host)
    tcp.Conn(g, "fe80::9", local.getsockname()[1], mss=1460,
             addr=g.link_local).connect()


@test("-M")
def our_mac_is_in_everything(w):
    """All frames have the MAC address of -M: Guest checks the source of every
    frame."""
    g = w.guest("-M", "02:11:22:33:44:55")
    _, opts = router_advert(g)
    equal("source link-layer address", opts[1],
          packet.mac("02:11:22:33:44:55"))
    offer(g)
    tcp_works(w, g, 4)
    tcp_works(w, g, 6)


@test("-m")
def mtu_is_announced(w):
    g = w.guest("-m", "1400")
    equal("option 26", offer(g).number(26), 1400)
    _, opts = router_advert(g)
    equal("MTU of RA", opts[5], struct.pack("!HI", 0, 1400))


@test("-m")
def mtu_zero_is_not_announced(w):
    g = w.guest("-m", "0")
    if 26 in offer(g).opt:
        raise Failure("option 26")
    _, opts = router_advert(g)
    if 5 in opts:
        raise Failure("MTU of RA")


# --- resolvers and domains

@test("-D")
def resolvers_that_were_given(w):
    g = w.guest("-D", "192.0.2.200", "-D", "198.51.100.53", "-D",
                "2001:db8::53", "-D", "2001:db8::54")
    equal("option 6", offer(g).addrs(6), ["192.0.2.200", "198.51.100.53"])
    want = ["2001:db8::53", "2001:db8::54"]
    equal("DHCPv6 23", advert6(g).addrs(23), want)
    _, opts = router_advert(g)
    equal("RDNSS", [packet.ntop(opts[25][6 + i:22 + i])
                    for i in range(0, len(opts[25]) - 6, 16)], want)


@test("-D")
def none(w):
    g = w.guest("-D", "none")
    if 6 in offer(g).opt or 23 in advert6(g).opt or \
            25 in router_advert(g)[1]:
        raise Failure("resolvers all the same")


@test("-D")
def loopback_resolvers_of_the_host_become_the_gateway(w):
    """If the host's resolv.conf has a loopback address, the guest gets the
    gateway's address as its resolver."""
    with open("/etc/resolv.conf") as f:
        old = f.read()

    def write(text):
        with open("/etc/resolv.conf", "w") as f:
            f.write(text)

    w.undo.append(lambda: write(old))
    write("nameserver 127.0.0.53\nnameserver ::1\n"
          "options edns0\n; nothing\n# else\n")
    p = w.start()
    p.wait_ready()
    g = w.join(p)
    equal("option 6", offer(g).addrs(6), [GATEWAY[4]])
    equal("DHCPv6 23", advert6(g).addrs(23), [GATEWAY[6]])


@test("-S")
def search_domains_that_were_given(w):
    want = ["one.example", "two.three.example"]
    g = w.guest("-S", " ".join(want))
    equal("option 119", dhcp.names(offer(g).opt[119]), want)
    equal("DHCPv6 24", dhcp.names(advert6(g).opt[24]), want)
    _, opts = router_advert(g)
    equal("DNSSL", dhcp.names(opts[31][6:]), want)


@test("-S")
def no_search_domains(w):
    g = w.guest("-S", "none")
    if 119 in offer(g).opt or 24 in advert6(g).opt or \
            31 in router_advert(g)[1]:
        raise Failure("domains all the same")


@test("--no-dhcp-dns")
def resolvers_are_kept_back(w):
    g = w.guest("--no-dhcp-dns")
    m = offer(g)
    if 6 in m.opt or 23 in advert6(g).opt:
        raise Failure("resolvers all the same")
    if 119 not in m.opt:
        raise Failure("no domains")


@test("--no-dhcp-search")
def domains_are_kept_back(w):
    g = w.guest("--no-dhcp-search")
    m = offer(g)
    if {119, 15} & set(m.opt) or 24 in advert6(g).opt:
        raise Failure("domains all the same")
    equal("option 6", m.addrs(6), [DNS[4]])


# --- the host's own configuration

@test("offline")
def without_any_address_link_local_ones_are_served(w):
    """Given a host without addresses, then passt starts, and leases link-local
    addresses."""
    empty = w.net.in_ns(w.net.host, netns._new_netns)
    netns._libc.setns(w.net.host, netns.CLONE_NEWNET)
    p = w.net.in_ns(empty, w.start)
    os.close(empty)
    p.wait_ready()
    g = w.join(p, hello=False)
    m = offer(g)
    equal("address", m.yiaddr, "169.254.2.1")
    equal("router", m.addrs(3), ["169.254.2.2"])
    g.send_ns("fe80::1")
    g.expect(g.is_icmp(NA), "advertisement")


@test("-i")
def the_interface_that_was_named(w):
    g = w.guest("-i", "v0", hello=False)
    equal("address", offer(g).yiaddr, HOST[4])


# --- how it runs

def finished(p, status):
    try:
        got = p.proc.wait(5 * SLOW)
    except subprocess.TimeoutExpired:
        raise Failure("still runs") from None
    equal("exit status", got, status)


@test("--fd")
def a_socket_of_the_parents(w):
    """passt serves an inherited socket, and ends when the guest leaves."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    proc = subprocess.Popen([PROGRAM, "-f", "-q", "--fd",
                             str(theirs.fileno())],
                            pass_fds=[theirs.fileno()],
                            stdin=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)
    theirs.close()

    def end():
        if proc.poll() is None:
            proc.kill()
        proc.wait()
        proc.stderr.close()
    w.undo.append(end)
    g = Guest(w.passt())
    g.sock = ours
    w.guests.append(g)
    g.send_arp(GATEWAY[4])
    g.expect(g.is_arp(GATEWAY[4]), "ARP reply")
    g.close()
    equal("exit status", proc.wait(5 * SLOW), 0)


@test("daemon")
def the_start_returns_when_the_socket_accepts(w):
    """The parent exits with status 0 when the daemon accepts guests; libvirt
    depends on this."""
    p = w.start("--pid", f"/tmp/wire.{os.getpid()}.pid", extra=())
    pidfile = f"/tmp/wire.{os.getpid()}.pid"
    w.undo.append(lambda: os.path.exists(pidfile) and os.unlink(pidfile))
    finished(p, 0)
    with open(pidfile) as f:
        pid = int(f.read())
    w.undo.append(lambda: end_pid(pid))
    s = w.keep(socket.socket(socket.AF_UNIX))
    s.connect(p.path)
    s.close()
    with open(f"/proc/{pid}/comm") as f:
        if not f.read().startswith("passt"):
            raise Failure(f"{pid} is not passt")
    end_pid(pid)


def end_pid(pid):
    try:
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


@test("-P")
def the_pid_is_written_in_the_foreground_too(w):
    pidfile = f"/tmp/wire.{os.getpid()}.pid"
    w.undo.append(lambda: os.path.exists(pidfile) and os.unlink(pidfile))
    p = w.start("-P", pidfile)
    p.wait_ready()
    w.join(p)
    with open(pidfile) as f:
        equal("pid", f.read().strip(), str(p.pid))


@test("-q")
def quiet_says_nothing(w):
    p = w.start("-q")
    p.wait_ready()
    g = w.join(p)
    offer(g)
    g.close()
    p.stop()
    equal("output", p.log(), "")


@test("start-up")
def it_says_what_it_hands_out_and_how_to_start_qemu(w):
    p = w.start()
    p.wait_ready()
    w.join(p)
    log = p.log()
    for want in (HOST[4], GATEWAY[4], HOST[6], DNS[4], DNS[6],
                 netns.SEARCH[0], p.path, "qemu"):
        if want not in log:
            raise Failure(f"no word of {want}: {log}")


@test("-l")
def the_log_goes_to_a_file(w):
    path = f"/tmp/wire.{os.getpid()}.log"
    w.undo.append(lambda: os.path.exists(path) and os.unlink(path))
    p = w.start("-l", path)
    p.wait_ready()
    w.join(p)
    with open(path) as f:
        if not f.read().strip():
            raise Failure("the file is empty")


@test("-h --version")
def help_and_version_exit_with_0(w):
    for o in ("-h", "--help", "--version"):
        r = subprocess.run([PROGRAM, o], capture_output=True, text=True)
        if r.returncode or not r.stdout.strip() + r.stderr.strip():
            raise Failure(f"{o}: {r}")


@test("-s")
def the_default_socket_is_the_first_that_is_free(w):
    """The test has a private /tmp, as other programs may use the machine's."""
    ready, tell = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(ready)
        try:
            os.write(tell, default_sockets().encode())
        except BaseException as e:      # the child must not leave this block
            os.write(tell, repr(e).encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(ready) as f:
        said = f.read()
    os.waitpid(pid, 0)
    equal("sockets", said, "passt_1.socket passt_2.socket")


def default_sockets():
    fd = os.open(PROGRAM, os.O_RDONLY)
    netns.unshare(netns.CLONE_NEWNS)
    netns.run("mount -t tmpfs none /tmp")
    os.chmod("/tmp", 0o1777)
    procs, out = [], []
    try:
        for i in (1, 2):
            procs.append(subprocess.Popen(
                [f"/proc/self/fd/{fd}", "-f", "-q"], pass_fds=[fd]))
            path = f"/tmp/passt_{i}.socket"
            for _ in range(200):
                if os.path.exists(path):
                    break
                time.sleep(0.02)
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            s.close()
            out.append(f"passt_{i}.socket")
    finally:
        for p in procs:
            p.kill()
            p.wait()
    return " ".join(out)


# --- wrong input: exit 1, and one line that names option and value

def rejected(w, *options, names=()):
    p = w.start(*options)
    try:
        status = p.proc.wait(5 * SLOW)
    except subprocess.TimeoutExpired:
        raise Failure(f"{options} is accepted") from None
    lines = [x for x in p.log().splitlines() if x.strip()]
    if status != 1 or len(lines) != 1:
        raise Failure(f"{options}: exit status {status}, says {lines}")
    for n in names:
        if n not in lines[0]:
            raise Failure(f"{options}: no '{n}' in: {lines[0]}")


WRONG = (
    (("--no-such-option",), ("--no-such-option",)),
    (("-a", "1.2.3"), ("1.2.3",)),
    (("-a", "192.0.2.1/33"), ("192.0.2.1/33",)),
    (("-a", "2001:db8::1/129"), ("129",)),
    (("-a", "example.org"), ("example.org",)),
    (("-a", "224.0.0.1"), ("224.0.0.1",)),
    (("-a", "127.0.0.1"), ("127.0.0.1",)),
    (("-a", "0.0.0.0"), ("0.0.0.0",)),
    (("-a", "ff02::1"), ("ff02::1",)),
    (("-n", "255.0.255.0"), ("255.0.255.0",)),
    (("-n", "33"), ("33",)),
    (("-a", "10.0.0.1/8", "-n", "8"), ("-n",)),
    (("-g", "nowhere"), ("nowhere",)),
    (("-g", "0.0.0.0"), ("0.0.0.0",)),
    (("-m", "65522"), ("65522",)),
    (("-m", "65536"), ("65536",)),
    (("-m", "-1"), ("-1",)),
    (("-m", "15oo"), ("15oo",)),
    (("--lease-time", "19"), ("--lease-time", "19")),
    (("--lease-time", "never"), ("--lease-time", "never")),
    (("-M", "9a:55:9a:55:9a"), ("9a:55:9a:55:9a",)),
    (("-M", "01:00:5e:00:00:01"), ("01:00:5e:00:00:01",)),
    (("-M", "zz:55:9a:55:9a:55"), ("zz:55",)),
    (("-D", "resolver"), ("resolver",)),
    (("-i", "no-such-if"), ("no-such-if",)),
    (("-4", "-6"), ("ipv4-only", "ipv6-only")),
    (("-t", "0"), ("0",)),
    (("-t", "65536"), ("65536",)),
    (("-t", "80-22"), ("80-22",)),
    (("-t", "22-80:90-91"), ("22-80:90-91",)),
    (("-t", "22,,23"), ("22,,23",)),
    (("-t", "http"), ("http",)),
    (("-t", ""), ("-t",)),
    (("-t", "22:"), ("22:",)),
    (("-t", "192.0.2.300/22"), ("192.0.2.300",)),
    (("-t", "%no-such-interface-here/22"), ("no-such-interface-here",)),
    (("-t", "auto"), ("auto",)),
    (("-u", "1-70000"), ("70000",)),
    (("-F", "99"), ("99",)),
    (("-F", "x"), ("x",)),
    (("--runas", "no-such-user"), ("no-such-user",)),
    (("-P", "/no/such/folder/pid"), ("/no/such/folder/pid",)),
    (("-l", "/no/such/folder/log"), ("/no/such/folder/log",)),
    (("-o", "not-an-address"), ("not-an-address",)),
)


def add_wrong(options, names):
    def wrong(w):
        rejected(w, *options, names=names)
    wrong.__name__ = f"is refused: {' '.join(options)}"
    test("wrong input")(wrong)


for options, names in WRONG:
    add_wrong(options, names)


@test("wrong input")
def a_socket_path_that_cannot_be_bound_is_refused(w):
    for path in ("/no/such/folder/s", "/tmp/" + "x" * 120, "/dev/null"):
        p = w.start("-s", path, socket_path="")
        finished(p, 1)
        lines = p.log().splitlines()
        if len(lines) != 1 or path[:40] not in lines[0]:
            raise Failure(f"{path}: {lines}")


@test("wrong input")
def a_socket_in_use_is_refused(w):
    first = w.passt()
    p = w.start(socket_path=first.path)
    finished(p, 1)
    if first.path not in p.log():
        raise Failure(p.log())
    w.join(first)


if __name__ == "__main__":
    main()
