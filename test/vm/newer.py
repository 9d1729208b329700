# SPDX-License-Identifier: AGPL-3.0-or-later
"""newer.py - libvirt and qemu of Debian's backports in the place of this
machine's own, for one test program: what test/vm/newer unpacked is laid over
/usr, /etc and /var, as ../net/ownroot.py does it."""

import glob
import os
import shutil

import ownroot
from netlab import TOP

ROOT = os.path.join(TOP, os.environ.get("B", "build"), "newer", "root")


def enter():
    """Goes to a mount namespace that has the newer programs. Only root can."""
    if not os.path.exists(f"{ROOT}/done"):
        raise FileNotFoundError("no libvirt and qemu of the backports: "
                                "test/vm/newer gets them")
    ownroot.enter(ROOT)
    # qemu loads no modules of another build.
    for modules in glob.glob(f"{ROOT}/usr/lib/*/qemu"):
        place = modules.removeprefix(ROOT)
        shutil.rmtree(place)
        shutil.copytree(modules, place)


def add_user(name, uid):
    """An ordinary user, whom only this namespace knows. Returns his home."""
    with open("/etc/passwd", "a") as file:
        file.write(f"{name}:x:{uid}:{uid}::/var/home/{name}:/bin/sh\n")
    with open("/etc/group", "a") as file:
        file.write(f"{name}:x:{uid}:\n")
    home = f"/var/home/{name}"
    os.makedirs(home)
    os.chown(home, uid, uid)
    return home
