#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""selinux.py - Runs passt on Debian's kernels with SELinux, which enforces
Debian's policy with our module (contrib/selinux).

passt must enter its whole sandbox, and serve the stand-in guest of modules.py,
over both links. SELinux must permit all of that, and nothing else.
"""

import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
import modules                                              # noqa: E402
import newer                                                # noqa: E402
import qemu                                                 # noqa: E402
from netlab import Lab, PASST, TOP, check, expect           # noqa: E402

PACKAGES = "/usr/share/selinux/default"
VERSION = 31            # of the policy's format; Linux 4.4 knows it
RANGE = "s0-s0:c0.c1023"
USER = f"unconfined_u:unconfined_r:unconfined_t:{RANGE}"
OURS = f"unconfined_u:unconfined_r:passt_t:{RANGE}"
LIBVIRT = f"system_u:system_r:virtd_t:{RANGE}"
OF_GUEST = "s0:c1,c2"   # libvirt gives each guest a level, and its passt, too

LOAD = """
mount -t selinuxfs none /sys/fs/selinux
cat /policy >/tmp/policy
dd if=/tmp/policy of=/sys/fs/selinux/load bs=64M 2>/dev/null
chcon -t null_device_t /dev/null
chcon -t urandom_device_t /dev/urandom
"""

# Gives the files in the root folder of modules.py the types that they have on an
# installed system.
LABEL = """
cd /new
mkdir -p run/systemd/resolve
chcon -t root_t .
chcon -R -t usr_t usr
chcon -R -t bin_t bin usr/bin
chcon -R -t lib_t lib*
chcon -t ld_so_t $(find lib* -name "ld-linux*")
chcon -R -t etc_t etc
chcon -R -t var_run_t run
chcon -R -t init_runtime_t run/systemd
chcon -R -t systemd_resolved_runtime_t run/systemd/resolve
chcon -t tmp_t tmp
chcon -t passt_exec_t usr/bin/passt
mkdir -p run/libvirt/qemu var/log/libvirt
chcon -R -t virt_runtime_t run/libvirt
chcon -R -t svirt_runtime_t run/libvirt/qemu
ln -s ../run var/run
chcon -t var_t var
chcon -h -t var_run_t var/run
chcon -t var_log_t var/log
chcon -t virt_log_t var/log/libvirt
chmod 777 var/log/libvirt
chcon -t qemu_exec_t bin/standin
"""

# Runs a script of an unconfined user. init can't become one while SELinux
# enforces the policy.
ENFORCED = """
exec </dev/null >/tmp/out 2>&1
echo 1 >/sys/fs/selinux/enforce
(
{}
)
status=$?
echo 0 >/sys/fs/selinux/enforce
exit $status
"""


# Runs a script of a daemon, from which passt inherits nothing that it could
# write to.
OF_DAEMON = """
exec </dev/null >/dev/null 2>&1
(
{}
) | cat >/tmp/out
"""


def policy():
    """Debian's policy with our module, in the format of the kernel. Fails if
    our module breaks an assertion of Debian's."""
    with tempfile.TemporaryDirectory() as folder:
        ours = f"{TOP}/contrib/selinux/passt"
        vm.quiet("checkmodule", "-M", "-m", "-o", f"{folder}/passt.mod",
                 f"{ours}.te")
        vm.quiet("semodule_package", "-o", f"{folder}/passt.pp",
                 "-m", f"{folder}/passt.mod", "-f", f"{ours}.fc")
        os.makedirs(vm.CACHE, exist_ok=True)
        vm.fetch("selinux-policy-default", f"{folder}/root")
        packages = [f"{folder}/root{PACKAGES}/{name}.pp"
                    for name in ("base", "unconfined", "qemu", "virt")]
        vm.quiet("bunzip2", *(path + ".bz2" for path in packages))
        vm.quiet("semodule_link", "-o", f"{folder}/linked", *packages,
                 f"{folder}/passt.pp")
        vm.quiet("semodule_expand", "-c", str(VERSION), f"{folder}/linked",
                 f"{folder}/policy")
        with open(f"{folder}/policy", "rb") as file:
            return file.read()


def image_of(suite, files):
    """The image of a guest with SELinux, with a kernel of this suite; None: of
    this machine's."""
    programs = {"/usr/bin/passt": PASST, "/bin/standin": os.environ["STANDIN"]}
    for name in "runcon", "chcon", "setpriv":
        programs[f"/usr/bin/{name}"] = vm.find_program(name)
    image = vm.Image(f"-{suite}-selinux", vm.CLOUD.package,
                     vm.MODULES + ["tun"],
                     newer.root(suite) if suite else vm.ROOT, programs, files,
                     "security=selinux")
    vm.build(image)
    return image


class Inside(modules.Inside):
    """Runs scripts of an unconfined user in the root folder of a guest, while
    SELinux enforces the policy."""

    def __init__(self, guest):
        super().__init__(guest)
        guest.run(LABEL)

    def run(self, script, timeout=60):
        self.guest.run("cat >/new/tmp/script <<'END'\n" +
                       ENFORCED.format(script) + "\nEND")
        try:
            super().run(f"runcon {USER} sh /tmp/script", timeout)
        finally:
            out = self.guest.run("echo 0 >/sys/fs/selinux/enforce; "
                                 "cat /new/tmp/out")
        return out

    def denied(self):
        """What SELinux has denied passt, or the guest that connects to passt,
        since the last call."""
        out = self.guest.run("sleep 0.5; dmesg -c")
        return re.findall(r"avc: +denied.*scontext=\S*:passt_t:.*|"
                          r"avc: +denied.*svirt_t:.*:passt_t:.*", out)


class Libvirt(Inside):
    """Runs scripts of libvirt's daemon. SELinux does not enforce the policy,
    because the scripts do what only a test has to do. But SELinux tells what it
    would deny."""

    def __init__(self, inside):
        self.guest = inside.guest

    def run(self, script, timeout=60):
        self.guest.run("cat >/new/tmp/script <<'END'\n" +
                       OF_DAEMON.format(script) + "\nEND")
        modules.Inside.run(self, f"runcon {LIBVIRT} sh /tmp/script", timeout)
        return self.guest.run("cat /new/tmp/out")


def all_of_it(lab, guest, name):
    # The kernel must print each denial.
    guest.run(LOAD + "sysctl -qw kernel.printk_ratelimit=0; "
              "sysctl -qw net.ipv4.ping_group_range='0 2147483647'")
    inside = Inside(guest)
    inside.denied()
    for what, before in ("root", ""), ("a user", modules.USER):
        what = f"{name}, {what}"
        modules.whole(what, inside, before)
        for vhost in False, True:
            modules.serves(what, inside, before, OURS, vhost=vhost)
        with check(f"{what}: nothing is denied"):
            expect("denied", inside.denied(), [])
    libvirt = Libvirt(inside)
    for vhost in False, True:
        modules.serves(f"{name}, libvirt", libvirt,
                       f"runcon -t passt_t -l {OF_GUEST}",
                       f"system_u:system_r:passt_t:{OF_GUEST}",
                       "/run/libvirt/qemu/passt", vhost=vhost,
                       log="/var/log/libvirt/log",
                       guest=f"runcon -t svirt_t -l {OF_GUEST}")
    with check(f"{name}, libvirt: nothing is denied"):
        expect("denied", inside.denied(), [])
    with check(f"{name}: SELinux denies what the policy does not permit"):
        inside.run("mkdir -m 777 /usr/open; passt -s /usr/open/socket || true")
        expect("denied", len(inside.denied()) > 0, True)


def story():
    images = {}
    with check("the policy can be made"):
        files = {"/policy": policy(),
                 "/etc/selinux/config": b"SELINUXTYPE=default\n"}
    for suite in None, "trixie", "sid":
        with check(f"there is a kernel of {suite or 'this machine'}"):
            images[f"Linux of {suite or 'this machine'}"] = image_of(suite,
                                                                     files)
    newer.enter()
    with Lab() as lab:
        guests = qemu.Guests(lab)
        for name, image in images.items():
            guests.run(name, all_of_it, ["-nic", "none"], image=image)


if __name__ == "__main__":
    newer.run("selinux", story, None)
