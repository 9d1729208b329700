# SPDX-License-Identifier: AGPL-3.0-or-later
"""newer.py - Replaces this machine's libvirt and qemu by those of Debian's
backports, for one test program only: it mounts overlays with the files that
test/vm/newer has unpacked at /usr, /etc and /var (../net/ownroot.py)."""

import glob
import os
import shutil
import sys

import guest as vm
import ownroot
from netlab import TOP, main

ROOT = os.path.join(TOP, os.environ.get("B", "build"), "newer", "root")


def enter():
    """Enters a mount namespace with the newer programs. Only root can."""
    if not os.path.exists(f"{ROOT}/done"):
        raise FileNotFoundError("no libvirt and qemu of the backports: "
                                "test/vm/newer gets them")
    ownroot.enter(ROOT)
    # Remove the machine's own qemu modules from the overlay: the newer qemu
    # can't load modules of another build.
    for modules in glob.glob(f"{ROOT}/usr/lib/*/qemu"):
        place = modules.removeprefix(ROOT)
        shutil.rmtree(place)
        shutil.copytree(modules, place)


def run(name, story, image=vm.CLOUD):
    """Runs a test program, or says why it can't run here."""
    why = ""
    if os.geteuid():
        why = "only root can lay newer programs over /usr"
    elif vm.EMULATOR != "qemu-system-x86_64":
        why = "the newer programs are those for x86"
    if why:
        print(f"skip {name}: {why}")
        sys.exit(0)
    vm.build(image)
    main(story)


def add_user(name, uid):
    """Adds an ordinary user in this namespace. Returns the home directory."""
    with open("/etc/passwd", "a") as file:
        file.write(f"{name}:x:{uid}:{uid}::/var/home/{name}:/bin/sh\n")
    with open("/etc/group", "a") as file:
        file.write(f"{name}:x:{uid}:\n")
    home = f"/var/home/{name}"
    os.makedirs(home)
    os.chown(home, uid, uid)
    return home
