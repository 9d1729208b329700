# SPDX-License-Identifier: AGPL-3.0-or-later
"""items.py - The items of the benchmark, measured once per daemon and round.

An item has a name, metrics, and measure(site, daemon, seconds, round), which
returns a value for each metric that makes sense for that daemon.
"""

import contextlib
import json
import os
import select
import subprocess
import time
from collections import namedtuple

from daemons import (FLOOR, Failed, Host, Link, QUERY, RING_FLOOR, RR, Relay,
                     Routed, SERVER4, SERVER_EMULATED, SPRAY, Slirp, Stream,
                     Veth, Vhost, cpu, ended, iperf, iperf_client,
                     iperf_result, iperf_server, run_json, started)

PORT = 7000
DNS_PORT = 53
WAYS = {"out": "from guest", "in": "to guest"}
MTUS = (1500, 65520)
# Payload of a frame in the floor programs for each MTU: without headers, and at
# 65520 such that frames fill the buffer.
FLOOR_PAYLOAD = {1500: 1460, 65520: 65466}
LOSS = 1000             # lost frames of a million
SIZES, FLOWS = (64, 512, 1400, 8000), (1, 100)
QUESTIONS = (1, 100)    # numbers of queries that wait at the same time
JUMBO = 9000            # MTU for datagrams that are longer than 1500

# @better: +1: more is better, -1: less is better, 0: no ratio makes sense
Metric = namedtuple("Metric", "key title unit better")


@contextlib.contextmanager
def one_cpu():
    """Programs started in this context share one CPU, the last one."""
    everything = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everything)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, everything)


@contextlib.contextmanager
def serving(site, program, port=PORT):
    """Runs one of our benchmark programs as a server outside."""
    with ended(site.outside.spawn(program, "serve", SERVER4, str(port),
                                  stdout=subprocess.PIPE)) as p:
        started(p, os.path.basename(program))
        yield


def rr_server(site):
    return serving(site, RR)


class Item:
    """An item of the benchmark.

    @kinds: classes of daemons that it applies to
    @peers: measure all daemons, not only ours, the reference and limits
    """

    kinds = (Stream, Slirp, Veth, Relay)
    peers = True

    def __init__(self, name, title, metrics):
        self.name, self.title, self.metrics = name, title, metrics

    def fits(self, daemon):
        return isinstance(daemon, self.kinds)


class Floor:
    """floor.c in place of a daemon: a loop that only copies and sums."""

    limit, vhost, version = True, False, ""
    name, title, program = "floor", "copy-and-sum loop", FLOOR

    def payload(self, mtu):
        return FLOOR_PAYLOAD[mtu]


class RingFloor(Floor):
    """ring_floor.c in place of a daemon: GSO frames over virtqueues at any MTU,
    without checksums."""

    vhost = True
    name, title, program = "ring-floor", "virtqueues, no protocol", RING_FLOOR

    def payload(self, mtu):
        return max(FLOOR_PAYLOAD.values())


class Tcp(Item):
    """Throughput of iperf3, and the CPU time that the daemon used for it."""

    def __init__(self, way, mtu):
        super().__init__(
            f"tcp-{way}-{mtu}", f"TCP {WAYS[way]}, MTU {mtu}",
            [Metric("gbps", "throughput", "Gbit/s", +1),
             Metric("cpu", "daemon's CPU", "s/GB", -1),
             Metric("notified", "bulk, a notification", "KiB", +1)])
        self.way, self.mtu = way, mtu
        self.kinds = (Stream, Slirp, Veth, Relay, Floor)

    def measure(self, site, daemon, seconds, seed):
        if isinstance(daemon, Floor):
            return self.floor(site, daemon, seconds)
        with daemon.up(site, self.mtu) as p:
            before = daemon.counts(site) if daemon.vhost else None
            result = timed(p, lambda: iperf(site, site.guest, self.way,
                                            seconds))
            if before:
                result["notified"] = notified(before, daemon.counts(site),
                                              self.way)
            return result

    def floor(self, site, daemon, seconds):
        out = run_json(site.host, daemon.program, self.way,
                       daemon.payload(self.mtu), int(seconds * 1000),
                       "--addr", SERVER4, "--netns",
                       site.path(site.outside), timeout=seconds + 30)
        return {"gbps": out["bytes"] * 8e-9 / out["seconds"],
                "cpu": out["cpu"] / out["bytes"] * 1e9}


def notified(before, after, way):
    """KiB of a bulk flow per notification by the side that sends it."""
    sent = {key: after[way][key] - before[way][key]
            for key in ("bytes", "kicks", "calls")}
    return sent["bytes"] / 1024 / max(
        sent["kicks" if way == "out" else "calls"], 1)


def timed(p, transfer):
    """Runs a transfer. Returns its Gbit/s, and CPU seconds per GB that the
    process @p used."""
    before = cpu(p.pid) if p else 0
    rate, count = transfer()
    result = {"gbps": rate / 1e9}
    if p and count:
        result["cpu"] = (cpu(p.pid) - before) / count * 1e9
    return result


class Lossy(Item):
    """TCP throughput if frames with data are lost between guest and daemon."""

    def __init__(self, way, mtu):
        super().__init__(
            f"loss-{way}-{mtu}",
            f"TCP {WAYS[way]}, MTU {mtu}, 0.1 % of frames lost",
            [Metric("gbps", "throughput", "Gbit/s", +1)])
        self.way, self.mtu = way, mtu
        self.kinds = (Stream, Relay)

    def measure(self, site, daemon, seconds, seed):
        with daemon.up(site, self.mtu, f"--drop-{self.way}", str(LOSS),
                       "--seed", str(seed + 1)):
            rate, _ = iperf(site, site.guest, self.way, seconds)
            return {"gbps": rate / 1e9}


class Bbr(Item):
    """TCP throughput with BBR as the guest's congestion control."""

    def __init__(self, mtu):
        super().__init__(
            f"bbr-out-{mtu}", f"TCP {WAYS['out']}, MTU {mtu}, BBR",
            [Metric("gbps", "throughput", "Gbit/s", +1)])
        self.mtu = mtu
        self.kinds = (Stream, Veth, Relay)

    def measure(self, site, daemon, seconds, seed):
        with daemon.up(site, self.mtu) as p:
            rate = timed(p, lambda: iperf(site, site.guest, "out", seconds,
                                          SERVER4, "-C", "bbr"))["gbps"]
            return {"gbps": rate}


class Ask(Item):
    """Latency of requests sent one by one, with all programs on one CPU."""

    def __init__(self, mode, title):
        super().__init__(
            mode, title, [Metric("p50", "median", "us", -1),
                          Metric("p99", "99 of 100 within", "us", -1),
                          Metric("rate", "rate", "/s", +1)])

    def measure(self, site, daemon, seconds, seed):
        with one_cpu(), daemon.up(site, 65520), rr_server(site):
            return asked(site, self.name, seconds)


def asked(site, mode, seconds):
    out = run_json(site.guest, RR, mode, SERVER4, PORT, int(seconds * 1000),
                   timeout=seconds + 30)
    return {"p50": out["p50"], "p99": out["p99"],
            "rate": out["count"] / out["seconds"]}


class Load(Item):
    """Latency of requests beside a bulk flow, on all CPUs."""

    def __init__(self):
        super().__init__(
            "load", "request-response beside a bulk flow",
            [Metric("idle", "median, nothing else", "us", -1),
             Metric("out", f"median, {WAYS['out']}", "us", -1),
             Metric("in", f"median, {WAYS['in']}", "us", -1),
             Metric("bulk_out", f"the flow {WAYS['out']}", "Gbit/s", +1),
             Metric("bulk_in", f"the flow {WAYS['in']}", "Gbit/s", +1)])

    def measure(self, site, daemon, seconds, seed):
        with daemon.up(site, 65520), rr_server(site):
            result = {"idle": asked(site, "rr", seconds)["p50"]}
            for way in WAYS:
                result[way], result[f"bulk_{way}"] = self.beside(site, way,
                                                                 seconds)
        return result

    def beside(self, site, way, seconds):
        """Returns the median of the requests' times, in us, and the bulk flow's
        throughput beside them, in Gbit/s."""
        with iperf_server(site), \
             ended(iperf_client(site.guest, way, seconds + 1)) as bulk:
            time.sleep(0.5)
            median = asked(site, "rr", seconds)["p50"]
            return median, iperf_result(bulk)[0] / 1e9


class Udp(Item):
    """Throughput of datagrams, then losses at half the rate of a veth pair.

    For the throughput, the sender sends GSO batches as fast as the receiver
    takes them, as QUIC does. For the losses, it sends single datagrams.
    """

    def __init__(self, way, size, flows):
        super().__init__(
            f"udp-{way}-{size}-{flows}",
            f"UDP {WAYS[way]}, {size} bytes, "
            f"{flows} flow{'s' if flows > 1 else ''}",
            [Metric("gbps", "throughput", "Gbit/s", +1),
             Metric("kpps", "datagrams", "1000/s", +1),
             Metric("cpu", "daemon's CPU", "s/GB", -1),
             Metric("offered", "at half, offered", "1000/s", 0),
             Metric("lost", "of that, lost", "%", -1)])
        self.way, self.size, self.flows = way, size, flows
        self.mtu = 1500 if size < 1472 else JUMBO
        self.half = None

    def measure(self, site, daemon, seconds, seed):
        with site.wire(self.mtu):
            self.half = self.half or self.calibrated(site, seconds)
            with daemon.up(site, self.mtu) as p:
                before = cpu(p.pid) if p else 0
                most = self.spray(site, seconds, 0, "rows")
                used = cpu(p.pid) - before if p else 0
                some = self.spray(site, seconds / 2, self.half, "single")
        if not most["received"]:
            raise Failed("nothing arrived")
        per_second = most["received"] / most["seconds"]
        lost = some["sent"] - some["received"]
        return {"gbps": per_second * self.size * 8e-9,
                "kpps": per_second / 1e3,
                **({"cpu": used / most["bytes"] * 1e9} if p else {}),
                "offered": some["offered"] / 1e3, "wanted": self.half / 1e3,
                "lost": lost / some["sent"] * 100, "count": lost}

    def calibrated(self, site, seconds):
        """Half the rate that a veth pair carries, in datagrams per second."""
        with Veth().up(site, self.mtu):
            out = self.spray(site, seconds, 0, "single")
            return round(out["received"] / out["seconds"] / 2)

    def spray(self, site, seconds, rate, how):
        with serving(site, SPRAY):
            return run_json(site.guest, SPRAY, self.way, SERVER4, PORT,
                            self.size, self.flows, rate, int(seconds * 1000),
                            how, timeout=seconds + 30)


class Dns(Item):
    """Queries as a resolver sends them, each from its own port."""

    def __init__(self, ahead):
        super().__init__(
            f"udp-dns-{ahead}",
            f"DNS, {ahead} at once" if ahead > 1 else
            "DNS, one after another, on one CPU",
            [Metric("rate", "answered", "/s", +1),
             Metric("p50", "median", "us", -1),
             Metric("p99", "99 of 100 within", "us", -1),
             Metric("lost", "not answered", "%", -1)])
        self.ahead = ahead

    def measure(self, site, daemon, seconds, seed):
        alone = one_cpu() if self.ahead == 1 else contextlib.nullcontext()
        with alone, daemon.up(site, 1500), serving(site, QUERY, DNS_PORT):
            out = run_json(site.guest, QUERY, "ask", SERVER4, DNS_PORT,
                           int(seconds * 1000), self.ahead,
                           timeout=seconds + 30)
        return {"rate": out["count"] / out["seconds"], "p50": out["p50"],
                "p99": out["p99"],
                "lost": out["lost"] / (out["count"] + out["lost"]) * 100}


class Idle(Item):
    def __init__(self):
        super().__init__("idle", "idle, with a guest",
                         [Metric("rss", "resident memory", "MB", -1),
                          Metric("data", "data segment", "MB", -1)])
        self.kinds = (Stream, Slirp)

    def measure(self, site, daemon, seconds, seed):
        with daemon.up(site, 65520) as p:
            time.sleep(0.5)
            return {"rss": resident(p) / 1e6,
                    "data": memory(p, "VmData") / 1e6}


def memory(p, field):
    """A value of memory in /proc/PID/status, in bytes."""
    return int(p.status(field).split()[0]) * 1024


def resident(p):
    """Resident memory in bytes, without memory shared with the guest."""
    return memory(p, "VmRSS") - memory(p, "RssShmem")


class Hold(Item):
    """Many connections: each is opened, echoes, is closed by the server."""

    def __init__(self, count):
        super().__init__(
            "hold", f"{count:,} connections at once",
            [Metric("opened", "opened", "", 0),
             Metric("echoed", "of these echoed", "", 0),
             Metric("rate", "opening rate", "/s", +1),
             Metric("rss", "resident memory, each", "bytes", -1),
             Metric("data", "data segment, each", "bytes", -1),
             Metric("fds", "descriptors, each", "", -1),
             Metric("rss_after", "resident memory not given back", "kB", 0),
             Metric("fds_after", "descriptors not given back", "", 0)])
        self.count = count

    def measure(self, site, daemon, seconds, seed):
        with one_cpu(), daemon.up(site, 65520) as p, rr_server(site):
            with ended(site.guest.spawn(
                    RR, "hold", SERVER4, str(PORT), str(self.count),
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    text=True)) as client:
                return self.story(p, client)

    def story(self, p, client):
        before = Footprint(p)
        opened = step(client, None)
        well = opened["well"]
        result = {"opened": well, "rate": well / opened["seconds"]}
        if p and well:
            held = Footprint(p)
            for key in "rss", "data", "fds":
                result[key] = held.above(before, key) / well
        result["echoed"] = step(client, "echo")["well"]
        step(client, "close")
        if p:
            after = self.settled(p, before)
            result["rss_after"] = after.above(before, "rss") / 1e3
            result["fds_after"] = after.above(before, "fds")
        return result

    def settled(self, p, before):
        """Memory and descriptors when no flow waits for a last ACK any more."""
        for _ in range(10):
            time.sleep(0.5)
            after = Footprint(p)
            if after.fds <= before.fds and after.rss <= before.rss:
                break
        return after


class Footprint:
    def __init__(self, p):
        if p:
            self.rss, self.data = resident(p), memory(p, "VmData")
            self.fds = p.descriptors()

    def above(self, other, key):
        return getattr(self, key) - getattr(other, key)


def step(client, command, timeout=60):
    """Sends a command, if any, to 'rr hold'. Returns its JSON answer."""
    if command:
        client.stdin.write(command + "\n")
        client.stdin.flush()
    if not select.select([client.stdout], [], [], timeout)[0]:
        raise Failed(f"rr hold: no answer within {timeout} s")
    line = client.stdout.readline()
    if not line:
        raise Failed("rr hold ended")
    return json.loads(line)


class Emulated(Item):
    """Throughput of iperf3 over an emulated link between host and servers."""

    peers = False

    def __init__(self, way, link):
        rate = f"{link.rate / 1e9:g}g" if link.rate else "none"
        super().__init__(
            f"emulate-{way}-{link.delay_ms}ms-{link.loss * 100:g}%-{rate}",
            f"TCP {WAYS[way]}, {link.delay_ms} ms, {link.loss:.2%} loss, "
            f"rate {rate}", [Metric("gbps", "throughput", "Gbit/s", +1)])
        self.way, self.link = way, link
        self.kinds = (Stream, Host, Routed)

    def fits(self, daemon):
        return super().fits(daemon) and not daemon.vhost

    def measure(self, site, daemon, seconds, seed):
        with site.link(self.link, seed + 1), daemon.up(site, 65520):
            rate, _ = iperf(site, daemon.client(site), self.way, seconds,
                            SERVER_EMULATED)
            return {"gbps": rate / 1e9}


DELAYS, LOSSES, RATES = (0, 1, 10, 50), (0, 1e-4, 1e-3, 1e-2), (None, 10**9)
QUICK_LINKS = (Link(0, 0, None), Link(10, 1e-3, None), Link(10, 0, 10**9))


def links(quick):
    if quick:
        return QUICK_LINKS
    return [Link(delay, loss, rate) for rate in RATES for delay in DELAYS
            for loss in LOSSES]


def datagrams(quick):
    if quick:
        return [*(Udp(way, 1400, 1) for way in WAYS), Dns(100)]
    return [*(Udp(way, size, flows) for flows in FLOWS for size in SIZES
              for way in WAYS), *(Dns(ahead) for ahead in QUESTIONS)]


def items(quick=False, count=15000):
    """All items, in the order of the report."""
    both = [(way, mtu) for mtu in MTUS for way in WAYS]
    return [*(Tcp(*x) for x in both),
            Ask("rr", "TCP request-response, on one CPU"),
            Ask("crr", "connect, request, response, on one CPU"),
            Hold(count), Idle(), Load(), *(Lossy(*x) for x in both),
            *(Bbr(mtu) for mtu in MTUS), *datagrams(quick),
            *(Emulated(way, link) for link in links(quick) for way in WAYS)]
