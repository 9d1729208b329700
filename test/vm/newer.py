# SPDX-License-Identifier: AGPL-3.0-or-later
"""newer.py - Lets one test program use what test/vm/newer has unpacked.

enter() replaces this machine's libvirt and qemu by those of Debian's backports:
it mounts overlays at /usr, /etc and /var (../net/ownroot.py). in_sid() is for
programs of Debian's sid, which need libraries of sid. They run in a root folder
of their own, by the command

    newer.py in-sid UID COMMAND...
"""

import glob
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
import ownroot                                              # noqa: E402
from netlab import B, Skip, main                            # noqa: E402


def root(suite):
    """The folder with the unpacked packages of a suite: backports, trixie or
    sid."""
    folder = f"{B}/newer/{suite}/root"
    if os.path.exists(f"{folder}/done"):
        return folder
    try:
        with open(f"{B}/newer/{suite}.why") as file:
            why = " ".join(file.read().split())
    except FileNotFoundError:
        why = "test/vm/newer has not run"
    # From time to time, packages of sid can't be installed together.
    if suite == "sid" and "unmet dependencies" in why:
        raise Skip(f"no packages of sid: {why}")
    raise FileNotFoundError(f"no packages of {suite}: {why}")


def enter():
    """Enters a mount namespace with the newer programs. Only root can."""
    lower = root("backports")
    ownroot.enter(lower)
    # Remove the machine's own qemu modules from the overlay: the newer qemu
    # can't load modules of another build.
    for modules in glob.glob(f"{lower}/usr/lib/*/qemu"):
        place = modules.removeprefix(lower)
        shutil.rmtree(place)
        shutil.copytree(modules, place)


def in_sid(uid):
    """Words to put in front of a command, to run it in sid's root folder as
    this user. /tmp and the build folder are also there. Only root can."""
    root("sid")
    return [sys.executable, os.path.abspath(__file__), "in-sid", str(uid)]


def run(name, story, image=vm.CLOUD):
    """Runs a test program, or says why it can't run here.

    @image: image of its guests; None: it boots none
    """
    why = ""
    if os.geteuid():
        why = "only root can lay newer programs over /usr"
    elif vm.EMULATOR != "qemu-system-x86_64":
        why = "the newer programs are those for x86"
    if why:
        print(f"skip {name}: {why}")
        sys.exit(0)
    if image:
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


def execute(command, uid, *argv):
    """The command in-sid: replaces this program by another one."""
    ownroot.change(root("sid"), "/proc", "/dev", "/tmp", B)
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    execute(*sys.argv[1:])
