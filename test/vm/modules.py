#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""modules.py - Runs passt on Debian's kernels, whose security modules this
machine may lack: AppArmor, with our profile and with libvirt's, and Yama. The
kernels also differ in Landlock, and in other calls that passt can do without.

    guest: passt ---- stand-in guest in a network namespace

There, passt must enter its whole sandbox, and serve the stand-in guest.
"""

import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "net"))

import guest as vm                                          # noqa: E402
import newer                                                # noqa: E402
import qemu                                                 # noqa: E402
from netlab import Lab, PASST, TOP, check, expect           # noqa: E402

PROFILES = "/etc/apparmor.d"
LIBVIRT = "libvirt-test"        # libvirt names a profile after each guest
USER = "/usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups"
STEPS = 13                      # of the sandbox
STUB = "run/systemd/resolve/stub-resolv.conf"

# Makes a root folder in which passt can pivot its root: the first root file
# system of a kernel can't be left.
ROOT = """
mkdir /new
mount -t tmpfs -o mode=755 new /new
cp -a /bin /etc /lib* /usr /modules /new
cd /new
mkdir -p proc sys dev tmp run/libvirt/qemu/passt root
chmod 1777 tmp
ln -s bin sbin
echo "user:x:1000:1000::/tmp:/bin/sh" >etc/passwd
mount -t securityfs none /sys/kernel/security
"""

# Runs a script there.
INSIDE = """
unshare -m sh -c '
for d in proc sys dev; do mount --rbind /$d /new/$d; done
cd /new && mount --move /new / && exec chroot . sh -c "$1"' - \
	'({}) >/tmp/said 2>&1; status=$?; cat /tmp/said; exit $status' | cat
"""

# Starts passt, and sends 1 MiB to a server and back, by way of a stand-in guest.
# Its network namespace has no more than the guest's interface. Sends as much
# through a forwarded port. Then changes resolv.conf, and lets passt end.
SERVES = """
rm -f {folder}/*
mkdir -p /run/systemd/resolve
echo "nameserver 198.51.100.1" >/run/systemd/resolve/stub-resolv.conf
ln -sf {link} /etc/resolv.conf
{before} passt --strict -s {folder}/socket -P {folder}/pid -l {log} \
	-a 192.0.2.2 -n 24 -g 192.0.2.1 -t 7002 {back} || exit 1
socat TCP-LISTEN:7001,reuseaddr EXEC:cat &
server=$!
head -c 1048576 /dev/urandom >/tmp/data
rm -f /tmp/served /tmp/taken
unshare -n sh -c "
	{guest} standin --socket {folder}/socket --tap tap0 {front} &
	until ip link set tap0 up 2>/dev/null; do sleep 0.1; done
	ip addr add 192.0.2.2/24 dev tap0
	ip route add default via 192.0.2.1
	ping -c 1 -W 5 192.0.2.1 >/dev/null && echo pong
	timeout 20 socat -t 10 - TCP:192.0.2.1:7001 </tmp/data |
		cmp - /tmp/data && echo same
	(until grep -q :1B5A /proc/net/tcp; do sleep 0.1; done
	 touch /tmp/served) &
	timeout 20 socat TCP-LISTEN:7002,reuseaddr EXEC:cat
	until [ -e /tmp/taken ]; do sleep 0.1; done
	kill %1" &
guest=$!
for i in $(seq 100); do [ -e /tmp/served ] && break; sleep 0.2; done
timeout 20 socat -t 10 - TCP:127.0.0.1:7002 </tmp/data |
	cmp - /tmp/data && echo forwarded
touch /tmp/taken
wait $guest
echo "nameserver 198.51.100.2" >/run/systemd/resolve/new
mv /run/systemd/resolve/new /run/systemd/resolve/stub-resolv.conf
for i in 1 2 3 4 5 6 7 8 9 10; do
	sleep 0.3
	grep 198.51.100.2 {log} && echo follows && break
done
cat /proc/$(cat {folder}/pid)/attr/current && echo
kill $(cat {folder}/pid) $server 2>/dev/null
wait
sleep 0.3
echo left:
ls {folder} | grep -v log
"""


def profiles():
    """Files of /etc/apparmor.d for the guest: the machine's, ours, and
    libvirt's. Returns a dictionary: path in the guest -> contents."""
    libvirt = f"{newer.root('backports')}{PROFILES}"
    files = {}
    for base in (PROFILES, libvirt, f"{TOP}/contrib/apparmor"):
        for part in "abi", "abstractions", "tunables":
            for path in glob.glob(f"{base}/{part}/**", recursive=True):
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        files[PROFILES + path.removeprefix(base)] = file.read()
    with open(f"{TOP}/contrib/apparmor/usr.bin.passt", "rb") as file:
        files[f"{PROFILES}/usr.bin.passt"] = file.read()
    with open(f"{libvirt}/libvirt/TEMPLATE.qemu", "rb") as file:
        files[f"{PROFILES}/libvirt"] = file.read().replace(
            b"LIBVIRT_TEMPLATE", LIBVIRT.encode())
    return files


def image_of(suite):
    """The image of a guest in which passt can run, with a kernel of this suite;
    None: of this machine's."""
    programs = {"/usr/bin/passt": PASST, "/bin/standin": os.environ["STANDIN"]}
    for name in "aa-exec", "apparmor_parser", "setpriv":
        programs[f"/usr/bin/{name}"] = vm.find_program(name)
    image = vm.Image(f"-{suite}-modules", vm.CLOUD.package,
                     vm.MODULES + ["tun"],
                     newer.root(suite) if suite else vm.ROOT, programs,
                     profiles())
    vm.build(image)
    return image


class Inside:
    """Runs scripts in the root folder of a guest."""

    def __init__(self, guest):
        self.guest = guest
        guest.run(ROOT)

    def run(self, script, timeout=60):
        assert "'" not in script
        return self.guest.run(INSIDE.format(script), timeout)

    def denied(self):
        """What AppArmor has denied since the last call."""
        out = self.guest.run("dmesg -c")
        return re.findall(r"apparmor=\"DENIED\".*", out)


def whole(name, place, before="", root=None):
    """passt enters its whole sandbox, and tells each step.

    @place: object that runs a script
    @root:  what it says of the empty root directory
    """
    with check(f"{name}: each step of the sandbox is done"):
        lines = place.run(f"{before} passt --strict --show-sandbox "
                          "-s /tmp/show").splitlines()
        expect(f"steps, {lines}", len(lines), STEPS)
        expect("not done", [line for line in lines if ": yes" not in line], [])
        expect(f"root in {lines}", "empty root directory: yes" +
               (f", {root}" if root else "") in lines, True)


def serves(name, inside, before="", profile="unconfined", folder="/tmp/passt",
           link="../" + STUB, vhost=False, log=None, guest=""):
    """passt serves a guest, confined by this profile.

    @before: command that runs passt
    @link:  where /etc/resolv.conf leads to
    @vhost: over vhost-user
    @guest: command that runs the stand-in guest
    """
    over = "vhost-user" if vhost else "the stream socket"
    back = "--vhost-user" if vhost else ""
    # Linux before 6.2 has no USO.
    front = back + " --without uso" if vhost else ""
    with check(f"{name}: passt serves a guest over {over}, resolv.conf leads "
               f"to {link}"):
        inside.run(f"mkdir -p {folder}; chmod 777 {folder}")
        out = inside.run(SERVES.format(before=before, folder=folder, link=link,
                                       back=back, front=front, guest=guest,
                                       log=log or f"{folder}/log"))
        said = out.replace("\0", "").split("\n")
        for word in "pong", "same", "forwarded", "follows", profile:
            expect(f"'{word}' in {out}", word in said, True)
        expect("files in the end", said[said.index("left:"):], ["left:", ""])


def yama(name, inside):
    """Whatever Yama permits others, passt is the same."""
    for scope in range(4):
        inside.run(f"sysctl -qw kernel.yama.ptrace_scope={scope}")
        whole(f"{name}, Yama {scope}", inside)
        whole(f"{name}, Yama {scope}, a user", inside, USER)
    serves(f"{name}, Yama 3", inside)


def apparmor(name, inside):
    """The profiles permit all that passt does: AppArmor denies nothing."""
    with check(f"{name}: AppArmor takes the profiles"):
        inside.run(f"apparmor_parser -K -r {PROFILES}/usr.bin.passt "
                   f"{PROFILES}/libvirt", 120)
        inside.denied()
    child = f"{LIBVIRT}//passt"
    for what, before, profile, folder in (
            ("our profile", "", "passt (enforce)", "/tmp/passt"),
            ("our profile, a user", USER, "passt (enforce)", "/tmp/user"),
            ("libvirt's profile", f"{USER} aa-exec -p {child} --",
             f"{child} (enforce)", "/run/libvirt/qemu/passt")):
        if folder.startswith("/tmp"):
            whole(f"{name}, {what}", inside, before,
                  "over the host's, for AppArmor")
        for link, vhost in (f"../{STUB}", False), (f"/{STUB}", True):
            serves(f"{name}, {what}", inside, before, profile, folder, link,
                   vhost)
        with check(f"{name}, {what}: nothing is denied"):
            expect("denied", inside.denied(), [])
    with check(f"{name}: the profile does deny what it does not permit"):
        inside.run("passt -s /etc/socket || true")
        expect("denied", len(inside.denied()) > 0, True)


def all_of_it(lab, guest, name):
    # The kernel must print each denial.
    guest.run("chmod 1777 /tmp; dmesg -c >/dev/null; "
              "sysctl -qw kernel.printk_ratelimit=0; "
              "sysctl -qw net.ipv4.ping_group_range='0 2147483647'")
    # Since Linux 7, the root of an initramfs can be unmounted.
    whole(f"{name}, initramfs", guest, "", None if name.endswith("sid") else
          "over the host's, which can't be unmounted")
    inside = Inside(guest)
    yama(name, inside)
    apparmor(name, inside)


def story():
    images = {}
    for suite in None, "trixie", "sid":
        with check(f"there is a kernel of {suite or 'this machine'}"):
            images[f"Linux of {suite or 'this machine'}"] = image_of(suite)
    newer.enter()
    with Lab() as lab:
        guests = qemu.Guests(lab)
        for name, image in images.items():
            guests.run(name, all_of_it, ["-nic", "none"], image=image)


if __name__ == "__main__":
    newer.run("modules", story, None)
