# SPDX-License-Identifier: AGPL-3.0-or-later
"""ownroot.py - A file system of its own for a test program whose programs
write to /etc, /var and /run: a mount namespace in which what is written there
is in memory, and gone with the program."""

import ctypes
import os
import tempfile

from netlab import CLONE_NEWNS, MNT_DETACH, MS_PRIVATE, MS_REC, call

MS_RDONLY = 1


def mount(source, target, kind, flags=0, options=None):
    call("mount", source and source.encode(), target.encode(),
         kind and kind.encode(), ctypes.c_ulong(flags),
         options and options.encode())


def overlay(target, lower, upper):
    """Lays @lower, if any, over @target; what is written goes to @upper."""
    for name in "new", "work":
        os.makedirs(f"{upper}{target}/{name}")
    below = f"{lower}{target}:{target}" if lower else target
    mount("overlay", target, "overlay", 0, f"lowerdir={below},"
          f"upperdir={upper}{target}/new,workdir={upper}{target}/work")


def enter(lower=None):
    """Goes to a mount namespace where folders are our own.

    @lower: a root whose /usr, /etc and /var are laid over those of the machine
    Has to be called before other threads are started.
    """
    call("unshare", CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    upper = tempfile.mkdtemp(prefix="passt-own-")
    mount("tmpfs", upper, "tmpfs", 0, "mode=0755")
    for target in "/etc", "/var", *(["/usr"] if lower else []):
        overlay(target, lower, upper)
    mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")
    # The mounts keep it; the folder is not to be seen, and goes.
    call("umount2", upper.encode(), MNT_DETACH)
    os.rmdir(upper)
