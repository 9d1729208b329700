#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""contrib.py - Tests contrib/: builds and checks packages, compiles policies
and profiles, tries completion and the systemd unit, parses examples.

It works in a temporary folder, and installs nothing.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "net"), os.path.join(HERE, "vm")]

import guest                                                # noqa: E402
import netlab                                               # noqa: E402
from netlab import PASST, TOP, check, expect                # noqa: E402
from selinux import policy                                  # noqa: E402

CONTRIB = os.path.join(TOP, "contrib")
PROFILES = "/etc/apparmor.d"


def run(*cmd, **kw):
    """Runs a command, which must succeed. Returns its output."""
    p = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       stdin=subprocess.DEVNULL, text=True, **kw)
    if p.returncode:
        raise AssertionError(f"{' '.join(cmd)}: exit {p.returncode}: "
                             f"{p.stdout[-1000:]}")
    return p.stdout


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def write(text, *path):
    os.makedirs(os.path.dirname(os.path.join(*path)), exist_ok=True)
    with open(os.path.join(*path), "w", encoding="utf-8") as file:
        file.write(text)


#
# Debian's packages.
#

SHIPPED = {
    "passt": ["/etc/apparmor.d/abstractions/passt",
              "/etc/apparmor.d/usr.bin.passt",
              "/usr/bin/passt",
              "/usr/lib/systemd/user/passt@.service",
              "/usr/share/bash-completion/completions/passt",
              "/usr/share/man/man1/passt.1.gz",
              "/usr/share/qemu/vhost-user/50-passt.json"],
    "qrap": ["/usr/bin/qrap", "/usr/share/man/man1/qrap.1.gz"],
}


def files_of(package):
    """Paths of the files in a package, without documents."""
    return sorted(line.split()[5].removeprefix(".")
                  for line in run("dpkg-deb", "-c", package).splitlines()
                  if line[0] != "d" and "/usr/share/doc/" not in line)


def original(folder):
    """Makes a package with the names of the original program's files. Returns
    its path."""
    tree = f"{folder}/original"
    for path in "/usr/bin/passt", "/usr/bin/pasta", "/usr/bin/qrap":
        write("", tree + path)
    write("Package: passt\nVersion: 0.0~git20261002-1\nArchitecture: all\n"
          "Maintainer: nobody <nobody@example.org>\nDescription: older\n",
          tree, "DEBIAN", "control")
    run("dpkg-deb", "--root-owner-group", "-b", tree, f"{folder}/old.deb")
    return f"{folder}/old.deb"


def replaces(folder, packages):
    """Fails unless our packages can replace the original program's package."""
    root = f"{folder}/root"
    for file in "status", "available":
        write("", root, "var/lib/dpkg", file)
    for name in "info", "updates", "triggers":
        os.makedirs(f"{root}/var/lib/dpkg/{name}")
    dpkg = ["dpkg", f"--root={root}", "--force-not-root", "--force-depends",
            "--force-script-chrootless", "--log=/dev/null", "--unpack"]
    run(*dpkg, original(folder))
    run(*dpkg, *packages)
    expect("programs", sorted(os.listdir(f"{root}/usr/bin")),
           ["passt", "qrap"])


def debian(folder):
    """Given this tree, when its packages are built, then lintian finds no
    error, and their files are the expected ones."""
    out = f"{folder}/debian"
    with check("dpkg-buildpackage makes packages"):
        run(f"{CONTRIB}/debian/build", out, env=dict(
            os.environ, DEB_BUILD_OPTIONS=f"nocheck parallel={os.cpu_count()}",
            MAKEFLAGS=""))
    packages = {os.path.basename(path).split("_")[0]: path
                for path in glob.glob(f"{out}/*.deb") if "dbgsym" not in path}
    with check("lintian finds no error"):
        changes, = glob.glob(f"{out}/*.changes")
        user = ["--allow-root"] if os.geteuid() == 0 else []
        said = run("lintian", *user, "--fail-on", "none", changes)
        print(said)
        expect("errors", re.findall("^E: .*", said, re.M), [])
    with check("each package has its files"):
        expect("packages", {name: files_of(path)
                            for name, path in packages.items()}, SHIPPED)
    with check("the packaged passt runs, and has the package's version"):
        run("dpkg-deb", "-x", packages["passt"], f"{folder}/unpacked")
        version = run("dpkg-deb", "-f", packages["passt"], "Version").strip()
        said = run(f"{folder}/unpacked/usr/bin/passt", "--version")
        expect("version", said.split()[:2],
               ["passt", version.rpartition("-")[0]])
    with check("the packages replace the original's"):
        replaces(folder, packages.values())


#
# AppArmor.
#

# A profile that includes our abstraction as libvirt's profile does.
LIBVIRT = """
include <tunables/global>
profile libvirtd-test {
  include <abstractions/base>
  /usr/bin/passt Cx -> passt,
  profile passt {
    /usr/bin/passt r,
    signal (receive) set=("term") peer=libvirtd,
    owner @{run}/libvirt/qemu/passt/* rw,
    include if exists <abstractions/passt>
  }
}
"""


def glob_of(rule):
    """Converts AppArmor's pattern for paths to a regular expression."""
    for name, value in ("PROC", "/proc"), ("pid", "*"), ("etc_ro", "/etc"):
        rule = rule.replace(f"@{{{name}}}", value)
    found = ""
    for part in re.findall(r"\*\*|[*{},?]|[^*{},?]+", rule):
        found += {"**": ".*", "*": "[^/]*", "{": "(?:", ",": "|", "}": ")",
                  "?": "[^/]"}.get(part, re.escape(part))
    return found


def rules(base, name):
    """The path rules of a profile, and of the files that it includes."""
    text = read(base, name)
    found = re.findall(r"^\s*(?:owner\s+)?((?:/|@\{)\S*)\s+\w+,", text, re.M)
    for other in re.findall(r"^\s*include <(abstractions/[\w-]+)>", text,
                            re.M):
        found += rules(base, other)
    return found


def opened():
    """System paths that are string constants in the source of passt."""
    found = set()
    for file in run("git", "-C", TOP, "ls-files", "*.c", "*.h").split():
        if not file.startswith(("test/", "wrap/", "qrap.c")):
            text = re.sub(r"/\*.*?\*/", "", read(TOP, file), flags=re.S)
            found |= set(re.findall(r'"(/(?:proc|etc|dev|sys|tmp)/[^"]+)"',
                                    text))
    return sorted(re.sub(r"%\w", "1", path).replace("/self/", "/1/")
                  for path in found)


def apparmor(folder):
    """Given the distribution's abstractions, then apparmor_parser accepts our
    profiles, and they allow all paths that passt opens."""
    base = f"{folder}/apparmor.d"
    shutil.copytree(PROFILES, base, symlinks=True)
    shutil.copytree(f"{CONTRIB}/apparmor", base, dirs_exist_ok=True)
    write(LIBVIRT, base, "libvirtd-test")
    for profile in "usr.bin.passt", "libvirtd-test":
        with check(f"apparmor_parser accepts {profile}"):
            run("apparmor_parser", "-QK", "--base", base, f"{base}/{profile}")
    with check("AppArmor: what passt opens is allowed"):
        allowed = [glob_of(rule) for rule in rules(base, "abstractions/passt")]
        expect("paths that no rule allows",
               [path for path in opened() if not any(
                   re.fullmatch(rule, path.rstrip("/") + end)
                   for rule in allowed for end in ("", "/"))], [])


#
# SELinux.
#

def selinux():
    with check("SELinux: the policy compiles, and fits Debian's"):
        policy()


#
# Completion. The script replaces compopt, which fails outside of a completion.
#

COMPLETE = """
compopt() { echo "compopt $*"; }
. "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_passt "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(*words):
    """The completions of a command line's last word, sorted."""
    return sorted(run("bash", "-c", COMPLETE, "bash",
                      f"{CONTRIB}/completion/passt", PASST, *words,
                      cwd=f"{TOP}/doc").split("\n")[:-1])


def completion():
    """When a word is completed, then options are those of --help, and values
    are right for their option."""
    shown = run(PASST, "--help")
    options = re.findall(r"^  (?:-(\S), |    )(--[a-z0-9-]+)", shown, re.M) + \
        [("", name) for name in re.findall(
            r"^  .*--[a-z0-9-]+, (--[a-z0-9-]+) [A-Z]", shown, re.M)]
    interfaces = sorted(os.listdir("/sys/class/net"))
    with check("completion: all options of --help"):
        expect("options", completed(""), sorted(
            [f"-{short}" for short, _ in options if short] +
            [name for _, name in options]))
    with check("completion: the rest of an option"):
        expect("options", completed("--no-dhcp"),
               sorted(name for _, name in options
                      if name.startswith("--no-dhcp")))
    with check("completion: interfaces"):
        for words in ("--interface", ""), ("-i", ""), ("--outbound-if4", ""), \
                ("--interface", "="), ("-f", "--outbound-if6", "=", ""):
            expect(f"{words}", completed(*words), interfaces)
        expect("-i l", completed("-i", "l"),
               [name for name in interfaces if name.startswith("l")])
    with check("completion: ports"):
        expect("-t", completed("-t", ""), sorted(
            ["all", "none"] + [f"%{name}/" for name in interfaces]))
        expect("--udp-ports a", completed("--udp-ports", "a"), ["all"])
    with check("completion: files"):
        for option in "--pid", "-p", "--log-file", "-s":
            expect(option, completed(option, "passt"),
                   ["compopt -o filenames", "passt.1"])
    with check("completion: users, 'none' and 'infinite'"):
        expect("--runas", completed("--runas", "roo"), ["root"])
        expect("-D", completed("-D", ""), ["none"])
        expect("--lease-time", completed("--lease-time", ""), ["infinite"])
    with check("completion: nothing for numbers and names"):
        for option in "--mtu", "--hostname", "-F":
            expect(option, completed(option, ""), [""])


#
# systemd.
#

def unit(folder):
    """Given our unit, then systemd accepts it, and its command works."""
    text = read(CONTRIB, "systemd", "passt@.service")
    runtime = f"{folder}/run"
    os.makedirs(f"{runtime}/passt")
    with check("systemd-analyze verifies the unit"):
        write(text.replace("/usr/bin/passt", PASST), folder,
              "passt@web.service")
        said = run("systemd-analyze", "verify", "--user", "--man=no",
                   f"{folder}/passt@web.service",
                   env=dict(os.environ, XDG_RUNTIME_DIR=runtime))
        expect("complaints", said, "")
    with check("the unit's command starts a daemon and writes its pid"):
        command, = re.findall(r"^ExecStart=(.*)", text, re.M)
        command = command.replace("/usr/bin/passt", PASST).replace(
            "%t", runtime).replace("%i", "web").replace(
            "$OPTIONS", f"--runas {os.getuid() or 65534}")
        os.chmod(folder, 0o755)
        os.chmod(f"{runtime}/passt", 0o777)
        run("unshare", "-rn" if os.geteuid() else "-n", *command.split())
        pid = int(read(runtime, "passt", "web.pid"))
        expect("program", os.path.basename(os.readlink(f"/proc/{pid}/exe")),
               "passt")
        os.kill(pid, 15)


#
# Examples.
#

def settings(text):
    """Parses lines NAME = VALUE. Returns a dictionary."""
    return dict(re.split(r"\s*=\s*", line, maxsplit=1)
                for line in text.splitlines()
                if line and not line.startswith("#"))


def accepted(sysctls):
    """Sets sysctls in a new network namespace. Returns the values that it then
    reads."""
    script = "".join(f"echo '{value}' >/proc/sys/{name.replace('.', '/')}; "
                     f"cat /proc/sys/{name.replace('.', '/')}; "
                     for name, value in sysctls.items())
    said = run("unshare", "-n", "sh", "-ec", script).splitlines()
    return dict(zip(sysctls, (" ".join(line.split()) for line in said)))


def examples():
    cluster, network, machine = yaml.safe_load_all(
        read(CONTRIB, "examples", "kubevirt.yaml"))
    plugins = json.loads(network["spec"]["config"])["plugins"]
    pod = next(plugin["sysctl"] for plugin in plugins
               if plugin["type"] == "tuning")
    host = settings(read(CONTRIB, "examples", "60-passt.conf"))
    with check("kubevirt.yaml: its parts name each other"):
        binding = cluster["spec"]["configuration"]["network"]["binding"]
        name = network["metadata"]
        expect("network of the binding",
               binding["passt"]["networkAttachmentDefinition"],
               f"{name['namespace']}/{name['name']}")
        spec = machine["spec"]
        interfaces = spec["domain"]["devices"]["interfaces"]
        expect("bindings", {i["binding"]["name"] for i in interfaces},
               set(binding))
        expect("networks", [n["name"] for n in spec["networks"]],
               [i["name"] for i in interfaces])
    with check("the kernel accepts the sysctls of pod and host"):
        expect("names", sorted(pod), sorted(host))
        if os.geteuid() == 0:
            for sysctls in pod, host:
                expect("settings", accepted(sysctls), sysctls)


def main():
    folder = tempfile.mkdtemp(prefix="passt-contrib-")
    try:
        for part in debian, apparmor, unit:
            with check(f"{part.__name__} ran to its end"):
                part(folder)
        selinux()
        completion()
        examples()
    finally:
        shutil.rmtree(folder)
    sys.exit(1 if netlab.failed else 0)


if __name__ == "__main__":
    main()
