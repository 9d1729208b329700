# SPDX-License-Identifier: AGPL-3.0-or-later
"""ownroot.py - Gives a test program its own /etc, /var and /run: a mount
namespace in which everything that is written there is kept in memory, and is
gone when the program ends."""

import ctypes
import os
import tempfile

from netlab import (CLONE_NEWNS, MNT_DETACH, MS_BIND, MS_PRIVATE, MS_REC,
                    call)

MS_RDONLY = 1


def mount(source, target, kind, flags=0, options=None):
    call("mount", source and source.encode(), target.encode(),
         kind and kind.encode(), ctypes.c_ulong(flags),
         options and options.encode())


def overlay(target, lower, upper):
    """Mounts an overlay at @target: writes go to @upper; files of @lower, if
    given, hide those of @target."""
    for name in "new", "work":
        os.makedirs(f"{upper}{target}/{name}")
    below = f"{lower}{target}:{target}" if lower else target
    mount("overlay", target, "overlay", 0, f"lowerdir={below},"
          f"upperdir={upper}{target}/new,workdir={upper}{target}/work")


def enter(lower=None):
    """Enters a mount namespace with private /etc, /var and /run.

    Call it before any other thread is started.

    @lower: a root folder; its /usr, /etc and /var hide files of the machine's
    """
    call("unshare", CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    upper = tempfile.mkdtemp(prefix="passt-own-")
    mount("tmpfs", upper, "tmpfs", 0, "mode=0755")
    for target in "/etc", "/var", *(["/usr"] if lower else []):
        overlay(target, lower, upper)
    mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
    # The overlays keep the tmpfs in use; it needs no visible place any more.
    call("umount2", upper.encode(), MNT_DETACH)
    os.rmdir(upper)


def change(root, *places):
    """Enters a mount namespace with another root folder.

    @places: folders of the machine that are also mounted there
    """
    call("unshare", CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount(root, root, None, MS_BIND)
    for place in places:
        os.makedirs(root + place, exist_ok=True)
        mount(place, root + place, None, MS_BIND | MS_REC)
    os.chdir(root)
    # This mounts the old root over the new one; see pivot_root(2).
    call("pivot_root", b".", b".")
    call("umount2", b".", MNT_DETACH)
    os.chdir("/")
