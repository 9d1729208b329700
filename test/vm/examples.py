#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""examples.py - Tests the scripts of contrib/examples that start qemu.

Each must connect its guest to passt, forward a port, and leave nothing when
qemu ends.

No guest boots; qemu's monitor shows its network devices.
"""

import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

from netlab import (Lab, PASST, TOP, check, expect, main,   # noqa: E402
                    spawn_user, wait_for)

PORT = 2222             # forwarded to the guest's port 22


def passts(lab):
    """Pids of processes of passt that use this test's folder."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path) as file:
                words = file.read().split("\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == "passt" and any(
                word.startswith(lab.dir) for word in words):
            found.append(int(path.split("/")[2]))
    return found


def example(lab, name):
    """When the script starts qemu, then qemu is connected; when qemu ends, then
    passt ends, too."""
    env = dict(os.environ, TMPDIR=lab.dir,
               PATH=f"{lab.dir}/bin:{os.environ['PATH']}")
    script = shutil.copy(f"{TOP}/contrib/examples/{name}", lab.dir)
    process = spawn_user(lab.host, [script, "-S", "-nodefaults", "-display",
                                    "none", "-monitor", "stdio"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, env=env)
    with check(f"{name}: the port is forwarded while qemu runs"):
        def bound():
            return f":{PORT} " in lab.host.run("ss", "-Hltn")
        wait_for("the port", bound, 20)
    with check(f"{name}: qemu has a card with a stream socket"):
        said, _ = process.communicate("info network\nquit\n", timeout=60)
        expect(f"exit status of {said}", process.returncode, 0)
        for what in "type=nic,model=virtio-net-pci", "type=stream":
            expect(f"{what} in {said}", what in said, True)
    # passt has --one-off, so it ends when qemu closes its connection.
    with check(f"{name}: no process and no file is left"):
        wait_for("end of passt", lambda: not passts(lab))
        expect("folders", glob.glob(f"{lab.dir}/passt-guest.*"), [])


def story():
    with Lab() as lab:
        os.mkdir(f"{lab.dir}/bin")
        shutil.copy(PASST, f"{lab.dir}/bin/passt")
        for name in "qemu-x86_64", "qemu-arm64":
            example(lab, name)


if __name__ == "__main__":
    main(story)
