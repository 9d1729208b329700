# SPDX-License-Identifier: AGPL-3.0-or-later
"""report.py - Calculates medians and ratios from the results, checks them
against the requirements, and writes a text table.

Its input is the content of results.json.
"""

from collections import namedtuple
from statistics import median

OURS, OURS_VHOST = "passt", "vhost"

# A requirement, and what was measured. @good: whether it is met; None: unknown.
Verdict = namedtuple("Verdict", "text found good")


def short(x):
    """A figure with three significant digits."""
    if x is None:
        return "-"
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    digits = 0 if abs(x) >= 100 else 1 if abs(x) >= 10 else 2
    return f"{x:.{digits}f}"


def reference(data, vhost=False):
    """The reference, with which ratios compare: the first peer, or if @vhost,
    the first peer over vhost-user."""
    for d in data["daemons"]:
        if d["name"] not in (OURS, OURS_VHOST) and not d["limit"] and \
                d.get("vhost", False) == vhost:
            return d["name"]
    return None


def reference_of(data, daemon):
    """The reference with which ratios of this daemon compare."""
    return reference(data, any(d["name"] == daemon and d.get("vhost")
                               for d in data["daemons"]))


def values(data, item, daemon, key):
    """Values of all rounds, in order; None if a round has no value."""
    rounds = data["values"].get(item, {}).get(daemon, [])
    return [r.get(key) for r in rounds]


def middle(data, item, daemon, key):
    """The median of all rounds; None if nothing was measured."""
    found = [v for v in values(data, item, daemon, key) if v is not None]
    return median(found) if found else None


def ratio(data, item, daemon, key, to=None, to_item=None):
    """The median of the rounds' ratios to another daemon or item."""
    pairs = zip(values(data, item, daemon, key),
                values(data, to_item or item, to or daemon, key))
    found = [a / b for a, b in pairs if a is not None and b]
    return median(found) if found else None


def slowest(data, item, daemon, key):
    """The smallest value of all rounds, as a fraction of the median."""
    found = [v for v in values(data, item, daemon, key) if v is not None]
    return min(found) / median(found) if found and median(found) else None


def errors(data):
    """(item, daemon, round, reason) of each measurement that failed."""
    return [(item, daemon, n + 1, r["error"])
            for item, by in data["values"].items()
            for daemon, rounds in by.items()
            for n, r in enumerate(rounds) if "error" in r]


#
# Requirements.
#

def at_least(text, found, limit, unit="x"):
    return Verdict(f"{text} at least {limit}{unit}", show(found, unit),
                   None if found is None else found >= limit)


def at_most(text, found, limit, unit="x"):
    return Verdict(f"{text} at most {limit}{unit}", show(found, unit),
                   None if found is None else found <= limit)


def show(found, unit):
    return "-" if found is None else f"{short(found)}{unit}"


def verdicts(data):
    """All requirements that this run can check, and its results."""
    ref = reference(data)
    found = []
    for item in data["items"]:
        name, title = item["name"], item["title"]
        if name.startswith("tcp-"):
            found += bulk(data, name, title, ref)
        elif name.startswith("loss-"):
            found.append(at_least(
                f"{title}: of that without loss", ratio(
                    data, name, OURS, "gbps",
                    to_item="tcp-" + name.removeprefix("loss-")), 0.5))
        elif name.startswith("bbr-"):
            found.append(at_least(
                f"{title}: of cubic's throughput", ratio(
                    data, name, OURS, "gbps",
                    to_item="tcp-" + name.removeprefix("bbr-")), 0.7))
    for item in data["items"]:
        if any(m["key"] == "kpps" for m in item["metrics"]):
            found += datagrams(data, item["name"], item["title"], ref)
    found += asked(data, ref) + held(data, ref) + matrix_verdicts(data)
    if any(d["name"] == OURS_VHOST for d in data["daemons"]):
        found += vhost_verdicts(data, reference(data, True))
    measured = {item["name"] for item in data["items"]}
    return [v for v in found if v.good is not None or measured]


def bulk(data, name, title, ref):
    rate = ratio(data, name, OURS, "gbps", ref)
    limit = ratio(data, name, OURS, "gbps", "relay")
    enough = None if rate is None else rate >= 1.25 or (limit or 0) >= 0.8
    found = f"{show(rate, 'x')}, {show(limit, 'x')} of the relay"
    return [
        Verdict(f"{title}: throughput at least 1.25x, or 0.8x of the relay",
                found, enough),
        at_most(f"{title}: CPU", ratio(data, name, OURS, "cpu", ref), 0.75),
        at_most(f"{title}: CPU, of the floor's",
                ratio(data, name, OURS, "cpu", "floor"), 1.25),
        at_least(f"{title}: slowest round, of the median",
                 slowest(data, name, OURS, "gbps"), 0.8)]


# Most CPU time per GB, as a fraction of the reference's, with 1400 bytes.
CPU_1400 = {"out": 0.35, "in": 0.5}
OFFERED = 0.95      # least fraction of the intended rate that must be sent, or
                    # the run does not show that nothing gets lost


def datagrams(data, name, title, ref):
    rate = ratio(data, name, OURS, "gbps", ref)
    part = ratio(data, name, OURS, "gbps", "relay")
    found = [Verdict(f"{title}: throughput at least 2x",
                     f"{show(rate, 'x')}, {show(part, 'x')} of the relay",
                     None if rate is None else rate >= 2)]
    _, way, size, _ = name.split("-")
    if size == "1400":
        found.append(at_most(f"{title}: CPU", ratio(
            data, name, OURS, "cpu", ref), CPU_1400[way]))
    return found + lossless(data, name, title)


def lossless(data, name, title):
    """The requirement that no datagram is lost in any round."""
    counts = [n for n in values(data, name, OURS, "count") if n is not None]
    if not counts:
        return []
    offered, wanted = (middle(data, name, OURS, key)
                       for key in ("offered", "wanted"))
    good = False if any(counts) else offered >= OFFERED * wanted or None
    return [Verdict(
        f"{title}: nothing lost at half of what the veth carries",
        f"{sum(counts)} lost at {short(offered)} of {short(wanted)} "
        "thousand/s", good)]


# Least throughput and most CPU time, as multiples of those of the reference
# over vhost-user.
VHOST_BULK = {"tcp-out-1500": (5, 0.55), "tcp-in-1500": (5, 0.35),
              "tcp-out-65520": (None, 1.1), "tcp-in-65520": (1.1, 0.8)}
VHOST_UDP = {"out": 0.25, "in": 0.35}


def vhost_verdicts(data, ref):
    """The requirements on vhost-user; ratios are to a peer over vhost-user."""
    def part(name, key, to=ref):
        return ratio(data, name, OURS_VHOST, key, to)

    found = []
    for item in data["items"]:
        name, title = item["name"], f"vhost-user: {item['title']}"
        if name in VHOST_BULK:
            rate, used = VHOST_BULK[name]
            if rate:
                found.append(at_least(f"{title}: throughput",
                                      part(name, "gbps"), rate))
            found += [
                at_most(f"{title}: CPU", part(name, "cpu"), used),
                at_most(f"{title}: CPU, of the floor's",
                        part(name, "cpu", "ring-floor"), 1.4),
                at_least(f"{title}: slowest round, of the median",
                         slowest(data, name, OURS_VHOST, "gbps"), 0.8),
                at_least(f"{title}: for each notification",
                         middle(data, name, OURS_VHOST, "notified"), 32,
                         " KiB")]
        elif name.startswith("loss-"):
            found.append(at_least(f"{title}: of the stream link's throughput",
                                  part(name, "gbps", OURS), 0.9))
        elif name in ("udp-out-1400-1", "udp-in-1400-1"):
            found.append(at_most(f"{title}: CPU", part(name, "cpu"),
                                 VHOST_UDP[name.split("-")[1]]))
    return found + vhost_asked(data, part)


def vhost_asked(data, part):
    names = {item["name"] for item in data["items"]}
    found = []
    if "rr" in names:
        found.append(at_most("vhost-user: request-response: median latency",
                             part("rr", "p50"), 0.8))
    if "crr" in names:
        found.append(at_least(
            "vhost-user: connect, request, response: rate",
            part("crr", "rate"), 1.3))
    for way in ("out", "in") if "load" in names else ():
        found.append(at_most(
            f"vhost-user: request beside a transfer {way}, of that alone",
            beside(data, OURS_VHOST, way), 3))
    if "idle" in names:
        found.append(at_most("vhost-user: at rest: resident memory",
                             middle(data, "idle", OURS_VHOST, "rss"), 2.5,
                             " MB"))
    return found


def beside(data, daemon, way):
    """A request's latency beside a bulk flow, as a multiple of its latency
    without one."""
    loaded = [b / a for a, b in zip(values(data, "load", daemon, "idle"),
                                    values(data, "load", daemon, way))
              if a and b]
    return median(loaded) if loaded else None


def asked(data, ref):
    names = {item["name"] for item in data["items"]}
    found = []
    if "rr" in names:
        found.append(at_most("request-response: median latency",
                             ratio(data, "rr", OURS, "p50", ref), 0.7))
    if "crr" in names:
        found.append(at_least("connect, request, response: rate",
                              ratio(data, "crr", OURS, "rate", ref), 1.5))
    if "load" in names:
        for way in "out", "in":
            found.append(at_most(
                f"request beside a transfer {way}, of that alone",
                beside(data, OURS, way), 3))
    if "idle" in names:
        found.append(at_most("at rest: resident memory",
                             middle(data, "idle", OURS, "rss"), 2, " MB"))
    return found


def held(data, ref):
    def mine(key):
        return middle(data, "hold", OURS, key)

    hold = [i for i in data["items"] if i["name"] == "hold"]
    if not hold or mine("opened") is None:
        return []
    title = hold[0]["title"]
    return [
        Verdict(f"{title}: every one echoes",
                f"{short(mine('opened'))} opened, {short(mine('echoed'))} "
                "echoed", mine("opened") == mine("echoed") and
                f"{mine('opened'):,.0f} " in title),
        at_most(f"{title}: descriptors each", mine("fds"), 1.01, ""),
        at_most(f"{title}: resident memory each", mine("rss"), 1024, " bytes"),
        at_least(f"{title}: opening rate",
                 ratio(data, "hold", OURS, "rate", ref), 1.5),
        at_most(f"{title}: descriptors not given back", mine("fds_after"), 0, ""),
        at_most(f"{title}: memory not given back", mine("rss_after"), 256, " kB")]


def cells(data, way):
    """(link, item name) of all emulated links, in one direction."""
    return [(item["link"], item["name"]) for item in data["items"]
            if item.get("link") and item["way"] == way]


def matrix_verdicts(data):
    found = []
    for way, title in (("out", "from guest"), ("in", "to guest")):
        for limit, whose in (("host", "the host's own"),
                             ("routed", "the stand-in's, routed")):
            parts = [ratio(data, name, OURS, "gbps", limit)
                     for _, name in cells(data, way)]
            parts = [p for p in parts if p is not None]
            if parts:
                good = sum(p >= 0.9 for p in parts)
                found.append(Verdict(
                    f"every emulated link, {title}: at least 0.9x of {whose}",
                    f"{good} of {len(parts)} links, least "
                    f"{short(min(parts))}x", good == len(parts)))
    return found


#
# The table.
#

WIDTH, CELL = 36, 16


def text(data):
    m = data["machine"]
    lines = [f"{m['time']}, commit {m['commit']}, Linux {m['kernel']}, "
             f"{m['cpus']} x {m['cpu']}, load {m['load']}; median of "
             f"{data['rounds']}, ratio to the reference, *"]
    for d in data["daemons"]:
        mark = "*" if d["name"] == reference_of(data, d["name"]) else ""
        lines.append(f"  {d['name'] + mark:<12} {d['title']}")
    lines += ["", *table(data), "", *matrix(data)]
    for v in verdicts(data):
        mark = {True: "met", False: "NOT MET", None: "?"}[v.good]
        lines.append(f"{mark:<8} {v.text}: {v.found}")
    lines += [f"failed: {item} {daemon} round {n}: {why}"
              for item, daemon, n, why in errors(data)]
    return "\n".join(lines)


def table(data):
    """Yields lines: a block per item, in it a line per metric, and in each line
    a column per daemon."""
    columns = [d["name"] for d in data["daemons"]
               if any(d["name"] in data["values"][i["name"]]
                      for i in data["items"] if not i.get("link"))]
    yield " " * WIDTH + "".join(
        f"{name + ('*' if name == reference_of(data, name) else ''):>{CELL}}"
        for name in columns)
    for item in data["items"]:
        if item.get("link") or not data["values"][item["name"]]:
            continue
        yield item["title"]
        for m in item["metrics"]:
            label = f"  {m['title']}" + (f", {m['unit']}" if m["unit"] else "")
            yield f"{label:<{WIDTH}}" + "".join(
                cell(data, item["name"], name, m, reference_of(data, name))
                for name in columns)


def cell(data, item, daemon, m, ref):
    """Median and ratio, in CELL columns of text."""
    value = middle(data, item, daemon, m["key"])
    if value is None:
        return f"{'-':>{CELL - 8}}" + " " * 8
    part = (ratio(data, item, daemon, m["key"], ref)
            if daemon != ref and m["better"] else None)
    return f"{short(value):>{CELL - 8}}" + (
        f" {short(part) + 'x':<7}" if part is not None else " " * 8)


def matrix(data):
    """Yields lines: for each emulated link, the host's own throughput, and the
    fraction of it that ours and others reach."""
    ours = [d for d in (OURS, reference(data), "routed") if d]
    for way, title in (("out", "from guest"), ("in", "to guest")):
        if not any(data["values"].get(name) for _, name in cells(data, way)):
            continue
        yield (f"Emulated links, TCP {title}: Mbit/s of the host itself; part "
               f"that is reached by {', '.join(ours)}")
        for link, name in cells(data, way):
            host = middle(data, name, "host", "gbps")
            parts = [ratio(data, name, d, "gbps", "host") for d in ours]
            yield (f"  {link['delay_ms']:>3} ms  loss {link['loss']:<7.2%} "
                   f"{'1 Gbit/s' if link['rate'] else 'no rate':<9}"
                   f"{short(host and host * 1e3):>8}"
                   + "".join(f"{show(part, 'x'):>9}" for part in parts))
        yield ""
