#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""bench.py - Runs the quick comparison that README.md and doc/performance.md
name, with a few of its items: TCP in both directions, requests, UDP.

It does not judge the figures, because other programs share the machine.
"""

import json
import os
import re
import subprocess

from netlab import B, PASST, TOP, check, expect, main

ITEMS = ("tcp-out-1500", "tcp-in-1500", "rr", "udp-out-1400-1")
OUT = f"{B}/bench"


def story():
    options = "--quick --without slirp4netns --without relay " + \
        " ".join(f"--only {item}" for item in ITEMS)
    out = subprocess.run(
        ["make", "-s", "bench", f"B={os.path.relpath(B, TOP)}",
         f"PEER={PASST}", f"BENCH={options}"], cwd=TOP,
        capture_output=True, text=True, timeout=300)
    print(out.stderr)
    print(out.stdout)
    with check("make bench BENCH='--quick' ends well"):
        expect("exit status", out.returncode, 0)
    with open(f"{OUT}/results.json", encoding="utf-8") as f:
        found = json.load(f)["values"]
    for item in ITEMS:
        with check(f"{item} is measured, with us and the peer"):
            for daemon in "passt", "peer1":
                values = found[item][daemon]
                expect("rounds", len(values), 1)
                expect("error", values[0].get("error"), None)
                expect("figures that are zero",
                       [k for k, v in values[0].items() if not v and
                        k not in ("lost", "count", "cpu")], [])
    with check("the table on the terminal has the items"):
        for title in "throughput", "median":
            expect(title, title in out.stdout, True)
        expect("ratios", bool(re.search(r"\d\.\d\d", out.stdout)), True)
    with check("the page has bars and units"):
        with open(f"{OUT}/index.html", encoding="utf-8") as f:
            page = f.read()
        for part in ("<svg", "Gbit/s", "results.json"):
            expect(part, part in page, True)


if __name__ == "__main__":
    main(story)
