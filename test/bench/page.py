# SPDX-License-Identifier: AGPL-3.0-or-later
"""page.py - Writes the results as one page: bars, and heat maps of the emulated
links. The page is one file of HTML, CSS and SVG.

Its input is the content of results.json.
"""

from html import escape

from report import (OURS, OURS_VHOST, cells, errors, middle, ratio, reference,
                    reference_of, short, show, values, verdicts)

STYLE = """
:root { --paper: #fff; --ink: #1d2530; --soft: #667080; --line: #dde2e8;
  --panel: #f6f8fa; --ours: #0b62c4; --reference: #e0761a; --peer: #8d97a5;
  --limit: #c6cdd6; --good: #1a7f4b; --bad: #c0322b; --dot: #1d2530; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161c;
  --ink: #e4e9f0; --soft: #93a0b0; --line: #2b333e; --panel: #1a2029;
  --ours: #4d9cf5; --reference: #f0953f; --peer: #6f7b8b; --limit: #3d4754;
  --good: #4cc285; --bad: #f0746c; --dot: #fff; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1500px; padding: 28px 24px 60px;
  background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif }
h1 { font-size: 26px; margin: 0 0 4px }
h2 { font-size: 18px; margin: 36px 0 12px }
p { margin: 4px 0; color: var(--soft) }
.legend { display: flex; flex-wrap: wrap; gap: 6px 22px; margin: 16px 0 0 }
.legend i { display: inline-block; width: 12px; height: 12px;
  border-radius: 3px; margin-right: 7px }
.panels { display: grid; gap: 14px; grid-template-columns: 1fr 1fr }
@media (min-width: 1200px) {
  .panels { grid-template-columns: repeat(4, 1fr) } }
@media (max-width: 640px) { .panels { grid-template-columns: 1fr } }
.panel { background: var(--panel); border: 1px solid var(--line);
  border-radius: 8px; padding: 12px 14px 8px }
.panel h3 { font-size: 14px; margin: 0 }
.panel p { font-size: 12.5px; margin: 0 0 6px }
svg { display: block; width: 100%; height: auto }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink) }
svg .soft { fill: var(--soft) }
svg .strong { font-weight: 600 }
.ours { fill: var(--ours); background: var(--ours) }
.reference { fill: var(--reference); background: var(--reference) }
.peer { fill: var(--peer); background: var(--peer) }
.limit { fill: var(--limit); background: var(--limit) }
.dot { fill: var(--dot); opacity: .55 }
.verdicts { display: grid; gap: 2px 28px; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(540px, 1fr)) }
.verdicts li { display: flex; gap: 9px; border-bottom: 1px solid var(--line);
  padding: 4px 0; font-size: 13.5px }
.verdicts b { flex: none; width: 64px }
.verdicts span { flex: 1 }
.verdicts em { font-style: normal; font-weight: 600; text-align: right }
.met b { color: var(--good) } .missed b, .missed em { color: var(--bad) }
.unknown { color: var(--soft) }
"""

# Title of each group of bars; for each row, the start of items' names, and the
# metric.
GROUPS = (
    ("Throughput", (("tcp-", "gbps"),)),
    ("Processor time of the daemon for each gigabyte", (("tcp-", "cpu"),)),
    ("Latency and rates, everything on one processor",
     (("rr", "p50"), ("rr", "p99"), ("rr", "rate"), ("crr", "rate"))),
    ("Many connections, and none",
     (("hold", "rate"), ("hold", "rss"), ("hold", "fds"), ("idle", "rss"))),
    ("A request beside a bulk flow",
     (("load", "idle"), ("load", "out"), ("load", "in"))),
    ("Frames lost between guest and daemon", (("loss-", "gbps"),)),
    ("BBR in the guest", (("bbr-", "gbps"),)),
    ("Datagrams: throughput", (("udp-", "gbps"),)),
    ("Datagrams: processor time of the daemon for each gigabyte",
     (("udp-", "cpu"),)),
    ("Datagrams lost at half the rate that a veth pair carries singly",
     (("udp-out", "lost"), ("udp-in", "lost"))),
    ("Questions of a resolver, each from its own port",
     (("udp-dns", "rate"), ("udp-dns", "p99"), ("udp-dns", "lost"))),
)

LABEL, BARS, WIDTH, ROW = 84, 120, 330, 22
CLIP = 1.5              # longest bar, as a multiple of typical daemons' values


def html(data):
    m = data["machine"]
    body = [f"<h1>passt side by side</h1><p>{escape(m['time'])}, commit "
            f"{escape(m['commit'])}, Linux {escape(m['kernel'])}, {m['cpus']} "
            f"× {escape(m['cpu'])}, load {m['load']} at the start. Medians "
            f"of {data['rounds']} interleaved rounds of {data['seconds']:g} s; "
            "a dot is a round; × is the median of the ratios to the "
            "reference.</p>", legend(data), summary(data),
            *(group(data, *g) for g in GROUPS), heat(data), failures(data)]
    return ("<!DOCTYPE html><html lang=en><meta charset=utf-8><title>passt "
            "side by side</title><meta name=viewport content='width=device-"
            f"width'><style>{STYLE}</style><body>" + "\n".join(body) +
            "<p><a href=results.json>results.json</a> has every round.</p>")


def kind(data, d):
    if d["name"] in (OURS, OURS_VHOST):
        return "ours"
    if d["name"] == reference_of(data, d["name"]):
        return "reference"
    return "limit" if d["limit"] else "peer"


def legend(data):
    def entry(d):
        which = kind(data, d)
        note = {"reference": ", the reference", "limit": " (a limit)"}
        return (f"<span><i class={which}></i>{escape(d['name'])}: "
                f"{escape(d['title'])}{note.get(which, '')}</span>")
    used = {name for by in data["values"].values() for name in by}
    return "<div class=legend>" + "".join(
        entry(d) for d in data["daemons"] if d["name"] in used) + "</div>"


def summary(data):
    found = verdicts(data)
    if not found:
        return ""
    words = {True: ("met", "met"), False: ("missed", "not met"),
             None: ("unknown", "unknown")}
    lines = "".join(
        f"<li class={words[v.good][0]}><b>{words[v.good][1]}</b><span>"
        f"{escape(v.text)}</span><em>{escape(v.found)}</em>" for v in found)
    return (f"<h2>What had to be shown: {sum(v.good is True for v in found)} "
            f"of {len(found)} met</h2><ul class=verdicts>{lines}</ul>")


#
# Bars.
#

def group(data, title, shown):
    panels = [panel(data, item, m) for prefix, key in shown
              for item in data["items"]
              if item["name"].startswith(prefix) and not item["link"]
              for m in item["metrics"] if m["key"] == key]
    panels = [p for p in panels if p]
    return f"<h2>{escape(title)}</h2>{grid(panels)}" if panels else ""


def grid(panels):
    return f"<div class=panels>{''.join(panels)}</div>"


def panel(data, item, m):
    """Draws the bars of one metric of one item."""
    name, key = item["name"], m["key"]
    rows = [(d, middle(data, name, d["name"], key)) for d in data["daemons"]]
    rows = [(d, v) for d, v in rows if v is not None]
    if not rows:
        return ""
    sense = {1: "more is better", -1: "less is better", 0: ""}[m["better"]]
    peers = [max(values_of(data, name, d, key)) for d, _ in rows
             if not d["limit"]] or [v for _, v in rows]
    # Cut very long bars, so that the other ones stay visible.
    full = min(max(v for _, v in rows),
               CLIP * max(max(peers[:2]), sorted(peers)[len(peers) // 2]))
    bars = "".join(bar(data, name, m, d, v, full or 1, i)
                   for i, (d, v) in enumerate(rows))
    unit = f", {m['unit']}" if m["unit"] else ""
    return (f"<div class=panel><h3>{escape(item['title'])}</h3>"
            f"<p>{escape(m['title'] + unit)}; {sense}</p>"
            f"<svg viewBox='0 0 {WIDTH} {ROW * len(rows) + 4}'>{bars}</svg>"
            "</div>")


def values_of(data, name, d, key):
    return [v for v in values(data, name, d["name"], key) if v is not None]


def bar(data, name, m, d, value, full, i):
    """Draws one daemon's row: name, bar (cut at @full), a dot for each round,
    median and ratio."""
    key, y, scale = m["key"], i * ROW, BARS / full
    width = max(min(value * scale, BARS), 1)
    strong = " class=strong" if kind(data, d) == "ours" else ""
    parts = [f"<text x=0 y={y + 15}{strong}>{escape(d['name'])}</text>",
             f"<rect class={kind(data, d)} x={LABEL} y={y + 3} rx=2 "
             f"width={width:.1f} height={ROW - 7} />"]
    if value > full:
        parts.append(f"<text class=soft x={LABEL + BARS + 3} "
                     f"y={y + 15}>»</text>")
    parts += [f"<circle class=dot r=1.8 cx={LABEL + v * scale:.1f} "
              f"cy={y + ROW / 2 - .5} />"
              for v in values_of(data, name, d, key) if v <= full]
    part = ratio(data, name, d["name"], key, reference_of(data, d["name"]))
    parts.append(f"<text x={WIDTH - 62} y={y + 15} text-anchor=end{strong}>"
                 f"{short(value)}</text>")
    if part is not None and m["better"] and kind(data, d) != "reference":
        parts.append(f"<text class=soft x={WIDTH} y={y + 15} "
                     f"text-anchor=end>{short(part)}×</text>")
    return "".join(parts)


#
# Heat maps.
#

# Colours of ratios to the host's own throughput. Colours change from warm to
# cold at the ratio that passt must reach, 0.9.
SCALE = ((0.0, (128, 0, 38)), (0.5, (227, 80, 40)), (0.8, (253, 190, 100)),
         (0.9, (240, 240, 200)), (1.0, (120, 198, 160)), (1.5, (20, 110, 130)))
SIDE, HIGH, LEFT, TOP = 74, 44, 64, 22


def colour(x):
    """The colour of a ratio, as (r, g, b)."""
    x = min(max(x, SCALE[0][0]), SCALE[-1][0])
    for (a, low), (b, high) in zip(SCALE, SCALE[1:]):
        if x <= b:
            part = (x - a) / (b - a)
            return tuple(round(p + part * (q - p)) for p, q in zip(low, high))
    return SCALE[-1][1]


def heat(data):
    """Draws a heat map for each daemon, direction and rate."""
    maps = []
    for way, title in (("in", "to guest"), ("out", "from guest")):
        found = cells(data, way)
        for rate in sorted({link["rate"] or 0 for link, _ in found}):
            part = [(link, name) for link, name in found
                    if (link["rate"] or 0) == rate]
            for daemon in (OURS, reference(data), "routed"):
                maps.append(heat_map(data, part, daemon, title, rate))
    maps = [m for m in maps if m]
    if not maps:
        return ""
    return ("<h2>Links with delay, loss and a rate</h2><p>Throughput as a "
            "multiple of what iperf3 on the host itself reaches over the same "
            "link (in small print: Mbit/s). Down: round trip. Across: frames "
            "lost, each way.</p>" + grid(maps))


def heat_map(data, found, daemon, title, rate):
    delays = sorted({link["delay_ms"] for link, _ in found})
    losses = sorted({link["loss"] for link, _ in found})
    boxes = [box(data, name, daemon, losses.index(link["loss"]),
                 delays.index(link["delay_ms"])) for link, name in found]
    if not any(boxes):
        return ""
    labels = [f"<text class=soft x={LEFT - 8} y={TOP + i * HIGH + 26} "
              f"text-anchor=end>{delay} ms</text>"
              for i, delay in enumerate(delays)]
    labels += [f"<text class=soft x={LEFT + i * SIDE + SIDE / 2} y=14 "
               f"text-anchor=middle>{loss * 100:g} %</text>"
               for i, loss in enumerate(losses)]
    limit = f"{rate / 1e9:g} Gbit/s" if rate else "no limit of rate"
    return (f"<div class=panel><h3>{escape(daemon)}, {title}</h3><p>{limit}"
            f"</p><svg viewBox='0 0 {LEFT + 4 * SIDE + 4} "
            f"{TOP + len(delays) * HIGH + 4}'>" + "".join(labels + boxes) +
            "</svg></div>")


def box(data, name, daemon, column, row):
    part = ratio(data, name, daemon, "gbps", "host")
    if part is None:
        return ""
    r, g, b = colour(part)
    ink = "#111" if r * .3 + g * .59 + b * .11 > 125 else "#fff"
    x, y = LEFT + column * SIDE, TOP + row * HIGH
    ours = middle(data, name, daemon, "gbps") * 1e3
    host = middle(data, name, "host", "gbps") * 1e3
    return (f"<rect x={x + 1} y={y + 1} width={SIDE - 2} height={HIGH - 2} "
            f"rx=3 fill='rgb({r},{g},{b})' />"
            f"<text x={x + SIDE / 2} y={y + 20} text-anchor=middle "
            f"style='fill:{ink};font-weight:600'>{show(part, '×')}</text>"
            f"<text x={x + SIDE / 2} y={y + 35} text-anchor=middle "
            f"style='fill:{ink};font-size:9.5px'>{short(ours)} / "
            f"{short(host)}</text>")


def failures(data):
    found = errors(data)
    if not found:
        return ""
    return ("<h2>What could not be measured</h2>" + "".join(
        f"<p>{escape(f'{item}, {daemon}, round {n}: {why}')}</p>"
        for item, daemon, n, why in found))
