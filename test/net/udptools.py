#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""udptools.py - Programs that use UDP must work in the guest as on the host.

    guest ==== passt (host) ---- router and servers (outside)
      \\________________________/
       each tool runs at both, one after the other

dig, TFTP, iperf3, OpenVPN, WireGuard, chrony and SIP telephones must print in
the guest what they print on the host. The same holds for datagrams that are
longer than any MTU, and for a long flow of GSO batches with ECN marks, as QUIC
has. The guest's MTU is 65520 at first, then 1500.
"""

import contextlib
import csv
import errno
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time

from netlab import (CLONE_NEWNS, FAMILIES, HOST4, HOST6, Lab, MS_PRIVATE,
                    MS_REC, Namespace, SERVER4, SERVER6, Server, Skip, call,
                    check, echo_udp, expect, main, rests, wait_for)

# Ports *_GUEST are forwarded to servers in the guest. Servers on the host use
# the ports *_HOST, because the others are taken.
IPERF_HOST, IPERF_GUEST = 5201, 5202
SIP, SIP_HOST, SIP_GUEST = 5060, 5070, 5071
FORWARDED = "-t", f"{IPERF_GUEST}", "-u", f"{IPERF_GUEST},{SIP_GUEST}"


@contextlib.contextmanager
def running(ns, *cmd, ready=None, **kw):
    """Runs a program during a block; waits first until @ready() is true."""
    kw = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **kw}
    p = ns.spawn(*cmd, **kw)

    def usable():
        if p.poll() is not None:
            raise AssertionError(f"{cmd[0]} ended: exit {p.returncode}")
        return ready()

    try:
        if ready:
            wait_for(f"{cmd[0]} to be ready", usable)
        yield p
    finally:
        p.terminate()
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def binds(ns, kind, port):
    """A condition for running(): a program listens on this port.

    @kind: "t" for TCP, "u" for UDP
    """
    return lambda: ns.run("ss", f"-Hln{kind}", f"sport = {port}").strip()


def need_tool(name):
    if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        raise Skip(f"needs {name}")


def same(lab, tool, *args, see=None):
    """Fails unless @tool(ns, *args) returns the same for guest and host.

    @see: the result that it must return; None: any that is not empty. On a busy
          machine, the kernel alone may lose datagrams, too: the host tries it
          three times
    """
    for _ in range(3):
        on_host = tool(lab.host, *args)
        if on_host and see in (None, on_host):
            break
    if see is not None:
        expect("what the host sees", on_host, see)
    if not on_host:
        raise AssertionError("the host sees nothing")
    expect("what the guest sees", tool(lab.guest, *args), on_host)


def own(lab, ns, addr):
    """The address to bind to in @ns so that peers reach it at @addr, an address
    of the host: in the guest, an IPv6 address is another one."""
    return lab.addresses6()[0] if ns is lab.guest and ":" in addr else addr


def bracketed(addr):
    return f"[{addr}]" if ":" in addr else addr


#
# DNS.
#

ZONE = f"""no-resolv
no-hosts
bind-interfaces
listen-address={SERVER4}
listen-address={SERVER6}
auth-ttl=60
local=/example/
host-record=name.example,192.0.2.53,2001:db8:1::53
cname=alias.example,name.example
srv-host=_sip._udp.example,name.example,5060,1,2
mx-host=example,name.example,10
ptr-record=53.2.0.192.in-addr.arpa,name.example
""" + "".join(f"txt-record=long.example,{c * 240}\n" for c in "abcdefghijkl")

QUERIES = (
    "name.example A", "name.example AAAA", "alias.example A", "example MX",
    "_sip._udp.example SRV", "-x 192.0.2.53", "missing.example A",
    "long.example TXT +bufsize=4096", "long.example TXT +noedns +ignore",
    "long.example TXT +bufsize=1232", "name.example A +nsid +subnet=0/0",
)


def dig(ns, addr, *options):
    """Runs dig for each query. Returns its output without values that vary."""
    said = []
    for query in QUERIES:
        said.append(ns.run("dig", f"@{addr}", "+tries=1", "+time=5",
                           "+nocookie", *options, *query.split()))
    return re.sub(r", id: \d+|;; (Query time|WHEN): .*|port: \d+", "",
                  "\n".join(said))


def dns(lab, name):
    """Given a resolver, then dig prints the same answers, UDP and TCP."""
    need_tool("dnsmasq")
    conf = f"{lab.dir}/zone"
    with open(conf, "w") as f:
        f.write(ZONE)
    with running(lab.outside, "dnsmasq", "-d", "-C", conf,
                 ready=binds(lab.outside, "t", 53)):
        for family, addr in FAMILIES:
            for way in "+notcp", "+tcp":
                with check(f"{name} dig {way}, IPv{family}"):
                    same(lab, dig, addr, way)


#
# TFTP: the server has a new port for each transfer.
#

TFTP_SIZES = 0, 512, 513, 100000
TFTP_CLIENTS = 4


def curl_tftp(ns, addr, name):
    """Fetches a file. Returns its checksum, and curl's exit status."""
    return ns.run("bash", "-c", f"curl -gs --max-time 20 "
                  f"tftp://{bracketed(addr)}/{name} | sha256sum; "
                  f"echo ${{PIPESTATUS[0]}}").strip()


def busybox_tftp(ns, addr, name):
    return ns.run("sh", "-c", f"busybox tftp -g -r {name} -l - {addr} "
                  f"| sha256sum").strip()


def tftp_at_once(ns, addr):
    """Several clients fetch all files at the same time. Returns checksums."""
    fetch = "; ".join(f"curl -gs --max-time 30 tftp://{bracketed(addr)}/f{n}"
                      for n in TFTP_SIZES)
    each = f"({fetch}) | sha256sum & "
    return ns.run("bash", "-c", each * TFTP_CLIENTS + "wait").split("\n")


def tftp(lab, name):
    need_tool("dnsmasq")
    for n in TFTP_SIZES:
        with open(f"{lab.dir}/f{n}", "wb") as f:
            f.write(os.urandom(n))
    for way, options in (("a port for each transfer", ()),
                         ("one port", ("--tftp-single-port",))):
        with running(lab.outside, "dnsmasq", "-d", "-C", "/dev/null", "-p", "0",
                     "--enable-tftp", f"--tftp-root={lab.dir}", *options,
                     ready=binds(lab.outside, "u", 69)):
            for family, addr in FAMILIES:
                for tool in curl_tftp, busybox_tftp:
                    with check(f"{name} {tool.__name__}, {way}, "
                               f"IPv{family}"):
                        for n in TFTP_SIZES:
                            same(lab, tool, addr, f"f{n}")
                        same(lab, tool, addr, "missing")
                with check(f"{name} {TFTP_CLIENTS} TFTP clients at once, "
                           f"{way}, IPv{family}"):
                    same(lab, tftp_at_once, addr)


#
# iperf3 over UDP.
#

def iperf(client, addr, port, *options):
    """Runs iperf3. Returns how many datagrams were lost or late, and whether
    each stream had some."""
    out = json.loads(client.run("iperf3", "-c", addr, "-p", str(port), "-u",
                                "-J", "-t", "1", *options, status=None))
    if "error" in out:
        raise AssertionError(out["error"])
    streams = [s["udp"] for s in out["end"]["streams"]]
    return {"lost": sum(s["lost_packets"] for s in streams),
            "late": sum(s["out_of_order"] for s in streams),
            "some came": all(s["packets"] > 10 for s in streams)}


LOSSLESS = {"lost": 0, "late": 0, "some came": True}
LOADS = (("1200 bytes", ("-l", "1200", "-b", "20M")),
         ("64 bytes", ("-l", "64", "-b", "1M")),
         ("8000 bytes", ("-l", "8000", "-b", "20M")),
         ("8 flows", ("-l", "1200", "-b", "2M", "-P", "8")))


@contextlib.contextmanager
def iperf_server(ns, addr, port):
    """Runs an iperf3 server for one client. It is bound to an address, because
    with UDP it would answer from any other address of its namespace."""
    with running(ns, "iperf3", "-s", "-1", "-B", addr, "-p", str(port),
                 ready=binds(ns, "t", port)):
        yield


def iperf_out(ns, lab, addr, *options):
    with iperf_server(lab.outside, addr, IPERF_HOST):
        return iperf(ns, addr, IPERF_HOST, *options)


def udp_iperf(lab, name):
    """Given a modest rate, in each direction, then nothing is lost."""
    for load, options in LOADS:
        for family, addr in FAMILIES:
            for way, reverse in ("out", ()), ("in", ("-R",)):
                with check(f"{name} iperf3 -u {load} {way}, IPv{family}"):
                    same(lab, iperf_out, lab, addr, *options, *reverse,
                         see=LOSSLESS)


def udp_iperf_forwarded(lab, name):
    """Given iperf3's server in the guest and its client outside, then nothing
    is lost."""
    ports = {lab.host: IPERF_HOST, lab.guest: IPERF_GUEST}

    def tool(ns, addr, *options):
        with iperf_server(ns, own(lab, ns, addr), ports[ns]):
            return iperf(lab.outside, addr, ports[ns], *options)

    for family, addr in ("4", HOST4), ("6", HOST6):
        for way, reverse in ("in", ()), ("out", ("-R",)):
            with check(f"{name} iperf3 -u to a server in the guest, {way}, "
                       f"IPv{family}"):
                same(lab, tool, addr, "-l", "1200", "-b", "20M", *reverse,
                     see=LOSSLESS)


#
# Tunnels.
#

def tcp_speed(ns, lab, far, *options):
    """Runs iperf3 by TCP to @far. Returns Mbit/s."""
    with iperf_server(lab.outside, far, IPERF_HOST):
        out = json.loads(ns.run("iperf3", "-c", far, "-p", str(IPERF_HOST),
                                "-J", "-t", "1", *options, status=None))
    if "error" in out:
        raise AssertionError(out["error"])
    return out["end"]["sum_received"]["bits_per_second"] / 1e6


def use_tunnel(ns, lab, far):
    """Runs ping, and iperf3 by UDP and TCP, through a tunnel to @far. Returns
    their results, to compare with CARRIED."""
    wait_for("the tunnel", lambda: " 0% packet loss" in ns.run(
        "ping", "-c1", "-W1", far, status=None), 20)
    ping = ns.run("ping", "-c", "5", "-i", "0.2", "-s", "1400", "-W", "2",
                  far)
    carried = {"ping": re.search(r"\d+ received", ping)[0]}
    for way, reverse in ("out", ()), ("in", ("-R",)):
        carried[f"UDP {way}"] = iperf_out(ns, lab, far, "-b", "5M", "-l",
                                          "1000", *reverse)
        speed = tcp_speed(ns, lab, far, *reverse)
        where = "guest" if ns is lab.guest else "host"
        print(f"tunnel of the {where}, TCP {way}: {speed:.0f} Mbit/s",
              flush=True)
        carried[f"TCP {way}"] = speed > 5
    return carried


CARRIED = {"ping": "5 received", "UDP out": LOSSLESS, "UDP in": LOSSLESS,
           "TCP out": True, "TCP in": True}


def openvpn(ns, lab, addr, key):
    """Uses OpenVPN between @ns and outside, with a static key."""
    proto = "udp6" if ":" in addr else "udp4"
    common = ("openvpn", "--dev", "vpn0", "--dev-type", "tun", "--proto",
              proto, "--secret", key, "--cipher", "AES-256-CBC", "--verb", "0")
    with running(lab.outside, *common, "--local", addr, "--port", "1194",
                 "--ifconfig", "10.8.0.1", "10.8.0.2",
                 ready=binds(lab.outside, "u", 1194)), \
            running(ns, *common, "--remote", addr, "1194", "--nobind",
                    "--ifconfig", "10.8.0.2", "10.8.0.1"):
        return use_tunnel(ns, lab, "10.8.0.1")


def wireguard(ns, lab, addr):
    """Uses WireGuard, as a program in user space, between @ns and outside."""
    ends = ((lab.outside, "wg-server", "10.9.0.1", ("listen-port", "51820"),
             ()),
            (ns, "wg-client", "10.9.0.2", (),
             ("endpoint", f"{bracketed(addr)}:51820")))
    keys = []
    for _, name, *_ in ends:
        private = ns.run("wg", "genkey")
        path = f"{lab.dir}/{name}.key"
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600),
                  "w") as f:
            f.write(private)
        public = subprocess.run(["wg", "pubkey"], input=private, text=True,
                                stdout=subprocess.PIPE, check=True).stdout
        keys.append((path, public.strip()))
    with contextlib.ExitStack() as stack:
        for i, (end, name, inner, options, peer) in enumerate(ends):
            stack.enter_context(running(
                end, "wireguard-go", "-f", name, ready=lambda n=name:
                os.path.exists(f"/var/run/wireguard/{n}.sock")))
            end.run("wg", "set", name, *options, "private-key", keys[i][0],
                    "peer", keys[1 - i][1], "allowed-ips", "10.9.0.0/24",
                    *peer)
            end.ip(f"addr add {inner}/24 dev {name}",
                   f"link set {name} mtu 1420 up")
        return use_tunnel(ns, lab, "10.9.0.1")


def tunnels(lab, name):
    """Given a tunnel over UDP, then it carries the same as on the host."""
    for family, addr in FAMILIES:
        with check(f"{name} OpenVPN, IPv{family}"):
            need_tool("openvpn")
            key = f"{lab.dir}/vpn.key"
            lab.host.run("openvpn", "--genkey", "secret", key)
            same(lab, openvpn, lab, addr, key, see=CARRIED)
        with check(f"{name} WireGuard, IPv{family}"):
            need_tool("wireguard-go")
            need_tool("wg")
            same(lab, wireguard, lab, addr, see=CARRIED)


#
# NTP.
#

def chrony(ns, lab, addr, *options):
    """Whether chrony finds the clock right to 50 ms: client and server have the
    same clock."""
    out = subprocess.STDOUT
    p = ns.spawn("chronyd", "-Q", "-x", "-t", "20", "-u", "root",
                 f"server {addr} iburst maxsamples 4", "cmdport 0",
                 f"pidfile {lab.dir}/chrony-client.pid", *options,
                 stdout=subprocess.PIPE, stderr=out, text=True)
    said = p.communicate(timeout=30)[0]
    wrong = re.search(r"System clock wrong by (-?[\d.]+)", said)
    if p.returncode or not wrong:
        raise AssertionError(f"exit {p.returncode}: {said}")
    return abs(float(wrong[1])) < 0.05


def ntp(lab, name):
    """Given a time server, then chrony gets the time from it. (It does not set
    the clock.)"""
    need_tool("chronyd")
    conf = f"{lab.dir}/chrony.conf"
    with open(conf, "w") as f:
        f.write(f"local stratum 3\nallow\ncmdport 0\n"
                f"pidfile {lab.dir}/chrony-server.pid\n")
    with running(lab.outside, "chronyd", "-d", "-x", "-u", "root", "-f", conf,
                 ready=binds(lab.outside, "u", 123)):
        for family, addr in FAMILIES:
            with check(f"{name} chrony, IPv{family}"):
                same(lab, chrony, lab, addr, see=True)
        with check(f"{name} chrony, from port 123"):
            same(lab, chrony, lab, SERVER4, "acquisitionport 123", see=True)


#
# SIP.
#

CALLS = 40


def sipp_server(ns, addr, port):
    return running(ns, "sipp", "-sn", "uas", "-i", addr, "-p", str(port),
                   "-nostdin", ready=binds(ns, "u", port),
                   env={**os.environ, "TERM": "dumb"})


def sipp_client(ns, lab, own, addr, port, *options):
    """Makes CALLS calls. Returns how many succeeded, failed, and needed
    retransmissions."""
    stats = f"{lab.dir}/sipp.csv"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(stats)
    ns.run("env", "TERM=dumb", "sipp", "-sn", "uac",
           f"{bracketed(addr)}:{port}", "-i", own, "-nostdin", "-m",
           str(CALLS), "-r", "20", "-d", "300", "-timeout", "40",
           "-trace_stat", "-stf", stats, *options)
    with open(stats) as f:
        last = list(csv.DictReader(f, delimiter=";"))[-1]
    return {what: int(last[f"{what}(C)"]) for what in (
        "SuccessfulCall", "FailedCall", "Retransmissions")}


CALLED = {"SuccessfulCall": CALLS, "FailedCall": 0, "Retransmissions": 0}


def sip(lab, name):
    """Given SIP telephones, when they call, then every call succeeds."""
    need_tool("sipp")
    for family, host, addr in ("4", HOST4, SERVER4), (
            "6", HOST6, SERVER6):
        def caller(ns, addr, *options):
            return sipp_client(ns, lab, own(lab, ns, host), addr, SIP,
                               *options)

        def called(ns, addr):
            port = SIP_GUEST if ns is lab.guest else SIP_HOST
            with sipp_server(ns, own(lab, ns, host), port):
                return sipp_client(lab.outside, lab, addr, host, port)

        with sipp_server(lab.outside, addr, SIP):
            for kind, options in (
                    ("one socket", ("-t", "u1")),
                    ("a socket each", ("-t", "un", "-max_socket", "1000"))):
                with check(f"{name} SIP calls, {kind}, IPv{family}"):
                    same(lab, caller, addr, *options, see=CALLED)
        # Not at port 5060: passt still has that port of the host bound for the
        # guest, which has called from it.
        with check(f"{name} SIP calls to the guest, IPv{family}"):
            same(lab, called, addr, see=CALLED)


#
# Long datagrams.
#

def pattern(size):
    return bytes(i * 7 + (i >> 8) & 0xff for i in range(size))


SIZES = (0, 1, 1472, 1473, 8000, 8001, 32768, 60000)


def echoed(ns, addr, port):
    """Sends datagrams to an echo server, one by one. Returns the sizes of those
    that come back unchanged."""
    right = []
    with ns.connect(addr, port, 3, socket.SOCK_DGRAM) as s:
        for size in SIZES:
            s.send(pattern(size))
            with contextlib.suppress(TimeoutError):
                if s.recv(65536) == pattern(size):
                    right.append(size)
    return right


def one_way(ns, lab, addr, port, inward):
    """Sends all datagrams in one direction, without waiting for answers.
    Returns the sizes of those that arrive.

    @inward: from outside to @ns
    """
    with lab.outside.bind(addr, port, socket.SOCK_DGRAM) as far, \
            ns.connect(addr, port, 3, socket.SOCK_DGRAM) as near:
        near.send(b"hello")
        peer = far.recvfrom(100)[1]
        far.connect(peer)
        sender, receiver = (far, near) if inward else (near, far)
        receiver.settimeout(3)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for size in SIZES:
            sender.send(pattern(size))
        came = set()
        with contextlib.suppress(TimeoutError):
            while len(came) < len(SIZES):
                data = receiver.recv(65536)
                expect(f"datagram of {len(data)} bytes", data,
                       pattern(len(data)))
                came.add(len(data))
    return sorted(came)


def long_datagrams(lab, name):
    """Given datagrams longer than the MTU outside, then they arrive, in both
    directions."""
    for family, addr in FAMILIES:
        with check(f"{name} datagrams up to 60,000 bytes, IPv{family}"), \
                Server(lab.outside.bind(addr, 0, socket.SOCK_DGRAM),
                       echo_udp) as server:
            same(lab, echoed, addr, server.port, see=list(SIZES))
        for way in "out", "in":
            with check(f"{name} datagrams up to 60,000 bytes, {way} alone, "
                       f"IPv{family}"):
                same(lab, one_way, lab, addr, 4433, way == "in",
                     see=list(SIZES))


def received(sock):
    """Receives a datagram; ignores the EMSGSIZE that a connected socket returns
    first, if it was told the path MTU."""
    try:
        return sock.recv(65536)
    except OSError as e:
        expect("error", errno.errorcode.get(e.errno), "EMSGSIZE")
        return sock.recv(65536)


def learns(lab, name):
    """Given a guest whose MTU is larger than the one outside, when it sends
    long datagrams with DF, as Linux does until it knows the path MTU, then no
    datagram is lost. (passt also tells it the MTU, as a router would.)"""
    for family, addr in FAMILIES:
        with check(f"{name} datagrams too long for outside, IPv{family}"), \
                Server(lab.outside.bind(addr, 0, socket.SOCK_DGRAM),
                       echo_udp) as server, \
                lab.guest.connect(addr, server.port, 3,
                                  socket.SOCK_DGRAM) as s:
            for n in 8000, 8001:
                s.send(pattern(n))
                expect("echo", received(s), pattern(n))


def pings(lab, name):
    """Given pings that are too long for the MTU outside, then none is lost, and
    the guest is told the MTU."""
    for family, addr in FAMILIES:
        with check(f"{name} ping -s 8000, IPv{family}"):
            out = lab.guest.run("ping", "-c", "3", "-i", "0.3", "-W", "2",
                                "-s", "8000", addr, status=None)
            expect("loss", ", 0% packet loss" in out, True)
            expect("reply to the first",
                   "8008 bytes" in out and "icmp_seq=1 ttl" in out, True)
            expect("told that it is too long", "mtu" in out, True)


def answers(lab, name):
    """Given a server in the guest that answers with long datagrams, as a DNS
    server may, then each client outside receives its first answer."""
    port = IPERF_GUEST
    for (family, addr), host in zip(FAMILIES, (HOST4, HOST6)):
        here = "0.0.0.0" if family == "4" else "::"
        with check(f"{name} the first long answer, IPv{family}"), \
                Server(lab.guest.bind(here, port, socket.SOCK_DGRAM),
                       lambda s: s.sendto(pattern(4000), s.recvfrom(100)[1])):
            for n in range(3):
                with lab.outside.bind(addr, 0, socket.SOCK_DGRAM) as s:
                    s.settimeout(3)
                    s.sendto(b"question", (host, port))
                    expect("answer", s.recv(65536), pattern(4000))


#
# A flow like QUIC's: no fragments, GSO batches, ECN.
#

SOL_UDP, UDP_SEGMENT = 17, 103          # linux/udp.h
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3
ECT1, ECT0, CE = 1, 2, 3
QUIC_SIZE = 1200                        # RFC 9000, 14
ROW = 10
ROWS = 400
QUIC_PORT = 443


def ecn_socket(sock):
    """Sets a socket never to fragment, and to report the TOS of datagrams."""
    v6 = sock.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    sock.setsockopt(level, IPV6_MTU_DISCOVER if v6 else IP_MTU_DISCOVER,
                    PMTUDISC_PROBE)
    sock.setsockopt(level, socket.IPV6_RECVTCLASS if v6 else
                    socket.IP_RECVTOS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.settimeout(5)


def send_row(sock, first, ecn, to=None):
    """Sends a GSO batch of ROW datagrams, numbered from @first."""
    v6 = sock.family == socket.AF_INET6
    data = b"".join(struct.pack("!I", first + i).ljust(
        QUIC_SIZE, bytes([(first + i) & 0xff])) for i in range(ROW))
    control = [(SOL_UDP, UDP_SEGMENT, struct.pack("H", QUIC_SIZE)),
               (socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP,
                socket.IPV6_TCLASS if v6 else socket.IP_TOS,
                struct.pack("i", ecn))]
    sock.sendmsg([data], control, 0, *([to] if to else []))


def take(sock):
    """Receives a datagram, and checks its content. Returns its number, ECN bits
    and sender."""
    data, control, _, peer = sock.recvmsg(4096, 256)
    number, = struct.unpack("!I", data[:4])
    expect(f"datagram {number}", data,
           data[:4].ljust(QUIC_SIZE, bytes([number & 0xff])))
    tos = next(value[0] for level, kind, value in control
               if kind in (socket.IP_TOS, socket.IPV6_TCLASS))
    return number, tos & 3, peer


def marks(way):
    """ECN bits of each batch: mostly ECT, sometimes CE or none."""
    ect = ECT0 if way == "out" else ECT1
    return [(ect, ect, ect, CE, ect, 0)[n % 6] for n in range(ROWS)]


class Quic:
    """One long flow between a client in @ns and a server on the network
    outside the host.

    @arrived: {"out": at the server, "in": at the client}; for each, a list of
        (number, ECN) in the order of arrival
    """

    def __init__(self, ns, lab, addr, port):
        self.far = lab.outside.bind(addr, port, socket.SOCK_DGRAM)
        self.near = ns.connect(addr, port, 5, socket.SOCK_DGRAM)
        self.peer = None
        self.arrived = {"out": [], "in": []}
        for sock in self.far, self.near:
            ecn_socket(sock)

    def row(self, n):
        """Sends the @n-th GSO batch to the server, and the @n-th one back."""
        send_row(self.near, n * ROW, marks("out")[n])
        for _ in range(ROW):
            number, ecn, peer = take(self.far)
            self.arrived["out"].append((number, ecn))
            expect("the client's address", peer, self.peer or peer)
            self.peer = peer
        self.back(n)

    def back(self, n):
        send_row(self.far, n * ROW, marks("in")[n], self.peer)
        for _ in range(ROW):
            self.arrived["in"].append(take(self.near)[:2])

    def close(self):
        self.far.close()
        self.near.close()


def quic_flow(ns, lab, addr):
    """Runs a long flow. Returns the datagrams as they arrived."""
    with contextlib.closing(Quic(ns, lab, addr, QUIC_PORT)) as flow:
        for n in range(ROWS):
            flow.row(n)
        return flow.arrived


def quic(lab, name):
    """Given GSO batches with ECN marks, then no datagram is lost, they arrive
    in order, and each has its mark."""
    want = {way: [(i, marks(way)[i // ROW]) for i in range(ROWS * ROW)]
            for way in ("out", "in")}
    for family, addr in FAMILIES:
        with check(f"{name} {ROWS * ROW} datagrams each way with ECN, "
                   f"IPv{family}"):
            for ns in lab.host, lab.guest:
                arrived = quic_flow(ns, lab, addr)
                for way in "out", "in":
                    for got, wanted in zip(arrived[way], want[way],
                                           strict=True):
                        expect(f"{way}, number and ECN", got, wanted)


def pause(lab, name):
    """Given a flow with data in both directions, when it pauses for longer than
    a one-shot flow lives (10 s), then the server's next datagrams still reach
    the client."""
    flows = [(family, Quic(lab.guest, lab, addr, QUIC_PORT))
             for family, addr in FAMILIES]
    for _, flow in flows:
        for n in range(3):
            flow.row(n)
    time.sleep(13)
    for family, flow in flows:
        with check(f"{name} a flow after a pause of 13 s, IPv{family}"), \
                contextlib.closing(flow):
            flow.back(3)
            flow.row(4)


def http3(ns):
    """Says whether curl has HTTP/3, as a reminder to test it: curl of Debian 12
    does not have it."""
    if "HTTP3" in ns.run("curl", "--version"):
        print("curl has HTTP/3, and no test uses it yet", flush=True)
    else:
        print("curl here has no HTTP/3: not compared", flush=True)


def private_run():
    """Mounts a private /run, so that WireGuard's control sockets do not clash
    with those of another run of this test."""
    call("unshare", CLONE_NEWNS)
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755")


# Each of these needs a new guest, which does not know the path MTU yet.
FRESH = pings, answers
ALL = (learns, dns, tftp, udp_iperf, udp_iperf_forwarded, tunnels, ntp, sip,
       long_datagrams, quic, pause)
WITH_MTU = udp_iperf, tunnels, long_datagrams, quic


def story():
    private_run()
    http3(Namespace())
    for mtu, stories in (*((65520, (part,)) for part in FRESH), (65520, ALL),
                         (1500, WITH_MTU)):
        name = f"mtu {mtu}:"
        with Lab() as lab:
            passt = lab.passt("-m", str(mtu), *FORWARDED)
            lab.attach(mtu=mtu)
            for part in stories:
                with check(f"{name} {part.__name__} ran to its end"):
                    start = time.monotonic()
                    part(lab, name)
                    print(f"{name} {part.__name__} took "
                          f"{time.monotonic() - start:.0f} s", flush=True)
            with check(f"{name} at rest after all that"):
                rests(passt)


if __name__ == "__main__":
    main(story)
