# SPDX-License-Identifier: AGPL-3.0-or-later
"""A client of DHCP (RFC 2131, 2132) and DHCPv6 (RFC 8415)."""
import random
import struct

from . import packet
from .packet import Malformed, need

COOKIE = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)

(SOLICIT, ADVERTISE, REQUEST6, CONFIRM, RENEW, REBIND, REPLY, RELEASE6,
 DECLINE6, RECONFIGURE, INFORMATION) = range(1, 12)
SERVERS = "ff02::1:2"


# --- DHCP

def message(mac, options=(), op=1, htype=1, hlen=6, xid=None, flags=0,
            ciaddr="0.0.0.0", cookie=COOKIE, end=b"\xff", pad=0):
    """Makes a DHCP message. @options: a list of (code, bytes)."""
    xid = random.getrandbits(32) if xid is None else xid
    m = struct.pack("!BBBBIHH4s4s4s4s16s64s128s", op, htype, hlen, 0, xid, 0,
                    flags, packet.pton(ciaddr), bytes(4), bytes(4), bytes(4),
                    packet.mac(mac), b"", b"")
    m += cookie
    for code, val in options:
        m += bytes([code, len(val)]) + val
    m += end
    return m + bytes(max(0, pad - len(m)))


def kind(n):
    return (53, bytes([n]))


def wanted(*codes):
    return (55, bytes(codes))


def address(code, addr):
    return (code, packet.pton(addr))


class Message:
    """A parsed DHCP reply. The constructor checks the length of each option."""
    LENGTHS = {1: 4, 26: 2, 50: 4, 51: 4, 52: 1, 53: 1, 54: 4, 57: 2, 58: 4, 59: 4,
               80: 0}

    def __init__(self, b):
        need(len(b) >= 240, "DHCP too short")
        (self.op, self.htype, self.hlen, self.hops, self.xid, self.secs,
         self.flags, ci, yi, si, gi, chaddr, self.sname,
         self.file) = struct.unpack("!BBBBIHH4s4s4s4s16s64s128s", b[:236])
        need(self.op == 2, "BOOTREPLY expected")
        need(b[236:240] == COOKIE, "magic cookie")
        self.size = len(b)
        self.ciaddr, self.yiaddr = packet.ntop(ci), packet.ntop(yi)
        self.siaddr, self.giaddr = packet.ntop(si), packet.ntop(gi)
        self.chaddr = packet.mac_text(chaddr[:6])
        need(not any(chaddr[6:]), "bytes after the MAC address")
        self.order, self.opt = [], {}
        self._options(b[240:])
        overload = self.opt.get(52, b"\0")[0]
        if overload & 1:                        # RFC 2132 9.3
            self._options(self.file)
        if overload & 2:
            self._options(self.sname)

    def _options(self, b):
        i = 0
        while True:
            need(i < len(b), "DHCP options do not end")
            if b[i] == 255:
                need(not any(b[i + 1:]), "bytes after the end option")
                return
            if b[i] == 0:
                i += 1
                continue
            need(i + 1 < len(b) and i + 2 + b[i + 1] <= len(b),
                 "DHCP option length")
            code, val = b[i], b[i + 2:i + 2 + b[i + 1]]
            need(code not in self.opt or val, f"option {code} twice")
            if code in self.opt:            # RFC 3396
                self.opt[code] += val
            else:
                self.order.append(code)
                self.opt[code] = val
            want = self.LENGTHS.get(code)
            need(want is None or len(val) == want,
                 f"length {len(val)} of option {code}")
            i += 2 + len(val)

    @property
    def kind(self):
        return self.opt[53][0] if 53 in self.opt else None

    def addrs(self, code):
        v = self.opt.get(code, b"")
        need(len(v) % 4 == 0, f"length of option {code}")
        return [packet.ntop(v[i:i + 4]) for i in range(0, len(v), 4)]

    def number(self, code):
        return int.from_bytes(self.opt[code], "big")

    def routes(self):
        """Routes of option 121 (RFC 3442): a list of (destination/length,
        gateway)."""
        b, out = self.opt[121], []
        while b:
            need(b[0] <= 32, "prefix length of a route")
            n = (b[0] + 7) // 8
            need(len(b) >= 1 + n + 4, "route cut short")
            dst = packet.ntop(b[1:1 + n] + bytes(4 - n))
            out.append((f"{dst}/{b[0]}", packet.ntop(b[1 + n:5 + n])))
            b = b[5 + n:]
        return out


def names(b):
    """Parses a list of domain names (RFC 1035 3.1), which may be compressed
    (RFC 3397)."""
    out, i = [], 0
    while i < len(b):
        labels, j, back = [], i, None
        for _ in range(128):
            need(j < len(b), "domain name beyond its end")
            n = b[j]
            if n & 0xc0 == 0xc0:
                need(j + 1 < len(b), "pointer cut short")
                if back is None:
                    back = j + 2
                j = (n & 0x3f) << 8 | b[j + 1]
                continue
            need(n < 64, "label too long")
            j += 1
            if n == 0:
                break
            need(j + n <= len(b), "label cut short")
            labels.append(b[j:j + n].decode("ascii"))
            j += n
        else:
            raise Malformed("domain name without end")
        if labels:
            out.append(".".join(labels))
        i = back if back is not None else j
    return out


def send(g, msg, src="0.0.0.0", dst="255.255.255.255", dmac=None):
    g.send_udp(dst, 68, 67, msg, src=src,
               dmac=dmac or packet.BROADCAST if src == "0.0.0.0" else None)


def is_reply(xid):
    return lambda p: (p.udp and p.v == 4 and p.udp.dport == 68 and
                      p.udp.data[4:8] == struct.pack("!I", xid))


def ask(g, options, timeout=5, **kw):
    """Sends a DHCP message. Returns the packet of the reply, and the parsed
    reply; or (None, None)."""
    xid = random.getrandbits(32)
    net = {k: kw.pop(k) for k in ("src", "dst") if k in kw}
    send(g, message(kw.pop("mac", g.mac), options, xid=xid, **kw), **net)
    p = g.recv(is_reply(xid), timeout)
    return (p, Message(p.udp.data)) if p else (None, None)


# --- DHCPv6

def duid(mac):
    """Makes a DUID-LL (RFC 8415 11.4)."""
    return struct.pack("!HH", 3, 1) + packet.mac(mac)


def opt6(code, val=b""):
    return struct.pack("!HH", code, len(val)) + val


def oro(*codes):
    return opt6(6, b"".join(struct.pack("!H", c) for c in codes))


def iaaddr(addr, preferred=0, valid=0, more=b""):
    return opt6(5, packet.pton(addr) + struct.pack("!II", preferred, valid)
                + more)


def ia_na(iaid=1, inner=b"", t1=0, t2=0):
    return opt6(3, struct.pack("!III", iaid, t1, t2) + inner)


def options6(b):
    """Parses DHCPv6 options. Returns a list of (code, bytes)."""
    out, i = [], 0
    while i < len(b):
        need(i + 4 <= len(b), "DHCPv6 option cut short")
        code, n = struct.unpack("!HH", b[i:i + 4])
        need(i + 4 + n <= len(b), f"length {n} of DHCPv6 option {code}")
        out.append((code, b[i + 4:i + 4 + n]))
        i += 4 + n
    return out


class Message6:
    def __init__(self, b):
        need(len(b) >= 4, "DHCPv6 too short")
        self.kind, self.xid = b[0], int.from_bytes(b[1:4], "big")
        self.options = options6(b[4:])
        self.opt = dict(self.options)
        for code in (1, 2, 7, 13, 14, 23, 24, 39):
            need(sum(c == code for c, _ in self.options) <= 1,
                 f"DHCPv6 option {code} twice")

    def ias(self):
        """Parses IA_NA options: {iaid: (t1, t2, addresses, status)}."""
        out = {}
        for code, val in self.options:
            if code != 3:
                continue
            need(len(val) >= 12, "IA_NA too short")
            iaid, t1, t2 = struct.unpack("!III", val[:12])
            addrs, status = [], None
            for c, v in options6(val[12:]):
                if c == 5:
                    need(len(v) >= 24, "IAADDR too short")
                    pref, valid = struct.unpack("!II", v[16:24])
                    need(pref <= valid, "preferred beyond valid")
                    options6(v[24:])
                    addrs.append((packet.ntop(v[:16]), pref, valid))
                elif c == 13:
                    status = int.from_bytes(v[:2], "big")
            need(not t1 or not t2 or t1 <= t2, "T1 beyond T2")
            out[iaid] = (t1, t2, addrs, status)
        return out

    @property
    def status(self):
        """Status code of the message; None if it has none, which means
        success."""
        if 13 not in self.opt:
            return None
        need(len(self.opt[13]) >= 2, "status code")
        return int.from_bytes(self.opt[13][:2], "big")

    def addrs(self, code):
        v = self.opt.get(code, b"")
        need(len(v) % 16 == 0, f"length of DHCPv6 option {code}")
        return [packet.ntop(v[i:i + 16]) for i in range(0, len(v), 16)]


def ask6(g, kind, *options, timeout=5, client=True, raw=None):
    """Sends a DHCPv6 message to all servers. Returns the packet of the reply,
    and the parsed reply; or (None, None)."""
    xid = random.getrandbits(24)
    if client:
        options = (opt6(1, duid(g.mac)), *options)
    m = bytes([kind]) + xid.to_bytes(3, "big") + b"".join(options)
    if raw:
        m = raw(m)
    g.send_udp(SERVERS, 546, 547, m, src=g.link_local,
               dmac=packet.multicast_mac(SERVERS))
    p = g.recv(lambda p: p.udp and p.v == 6 and p.udp.dport == 546 and
               p.udp.data[1:4] == xid.to_bytes(3, "big"), timeout)
    return (p, Message6(p.udp.data)) if p else (None, None)
