#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""sandbox.py - Tests the sandbox in two ways. A running passt tries what an
attacker in the process would try: every system call, sockets of every kind, and
files. And passt enters the sandbox in several setups: as root, as a user, in
other namespaces, in a chroot, in a container, and where the kernel refuses a
part of it.

trycall.c lets a running passt make system calls. sandbox.txt lists the system
calls that the sandbox permits.
"""

import errno
import itertools
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
import time

from netlab import (PASST, TOP, Skip, check, expect, main, wait_for)

MODES = {
    "stream": [],
    "vhost-user": ["--vhost-user"],
    "log file and recording": ["-l", "log", "-p", "pcap"],
}
HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
LAST = 600

# The kernel does not ask filters about this call, by which it traces functions
# (since Linux 6.14).
NOT_FILTERED = {335}

AF_INET, AF_INET6 = 2, 10
STREAM, DGRAM = 1, 2
SOCKETS = {(family, kind, proto)
           for family, ping in ((AF_INET, 1), (AF_INET6, 58))
           for kind, proto in ((STREAM, 0), (STREAM, 6), (DGRAM, 0),
                               (DGRAM, 17), (DGRAM, ping))}

# Setups in which the sandbox is entered: command that runs passt, and steps that
# can't be done there.
UNSHARED = "unshare -Urn"
NO_USERNS = ("unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces;"
             " exec \"$@\"' -")
USER = "setpriv --reuid 65534 --regid 65534 --clear-groups"


class Trial:
    """A folder that any user can use, with passt and trycall in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="passt-sandbox-")
        os.chmod(self.dir, 0o777)
        self.passt = shutil.copy(PASST, f"{self.dir}/passt")
        self.tool = self.compiled("trycall")

    def compiled(self, name):
        """Compiles a program of this folder. Returns its path."""
        path = f"{self.dir}/{name}"
        subprocess.run([shutil.which("cc") or "gcc", "-o", path,
                        os.path.join(TOP, f"test/net/{name}.c")], check=True)
        return path

    def tries(self, options, calls):
        """Lets passt make these calls. Returns their results, as text."""
        path = f"{self.dir}/calls"
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(" ".join(str(word) for word in call) + "\n"
                            for call in calls)
        out = subprocess.run(
            [self.tool, path, self.passt, "-f", "-q", "-s", "socket", *options],
            cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, check=True, timeout=120).stdout.split("\n")
        return out[:len(calls)]

    def shows(self, before, *options):
        """Runs passt --show-sandbox after the command @before. Returns its exit
        status, its lines, and what it says on stderr."""
        done = subprocess.run(
            f"{before} {self.passt} --show-sandbox -s {self.dir}/socket "
            + " ".join(options), shell=True, cwd=self.dir, timeout=30,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr

    def close(self):
        shutil.rmtree(self.dir)


def numbers():
    """Returns a dictionary: name of a system call -> its number."""
    with open(HEADER, encoding="utf-8") as file:
        return {name: int(number) for name, number in
                re.findall(r"#define __NR_(\w+) (\d+)", file.read())}


def table():
    """Returns the table in sandbox.txt: mode -> verdict -> names."""
    modes = {}
    with open(os.path.join(TOP, "test/net/sandbox.txt"),
              encoding="utf-8") as file:
        for line in file:
            if line.startswith("["):
                verdicts = modes[line.strip()[1:-1]] = {}
            elif line.strip() and not line.startswith("#"):
                verdict, names = line.split(":")
                verdicts.setdefault(verdict, set()).update(names.split())
    return modes


def every_call(trial):
    """Given a running passt, when it tries each system call, then the kernel
    permits those of the table, and kills passt for each other one."""
    number = numbers()
    for mode, options in MODES.items():
        with check(f"{mode}: every system call from 0 to {LAST}"):
            want = table()[mode]
            said = trial.tries(options, [(nr, -1) for nr in range(LAST + 1)])
            lives = {nr for nr, result in enumerate(said)
                     if result != "killed"} - NOT_FILTERED
            expect("results", len(said), LAST + 1)
            sure = {number[name] for name in want["any"] | want["fails"]}
            expect("killed, but in the table", sorted(sure - lives), [])
            expect("permitted, but not in the table", sorted(
                lives - sure - {number[name] for name in want["args"]}), [])
            expect("failing", sorted(nr for nr in lives if said[nr] ==
                                     str(-errno.ENOMEM)),
                   sorted(number[name] for name in want["fails"]))
        with check(f"{mode}: not more calls than intended"):
            total = len(want["any"] | want["args"])
            expect("calls", total <= {"stream": 26}.get(mode, 32), True)


def sockets(trial):
    """When passt tries to open sockets of all kinds, then it gets those for TCP,
    UDP and ping only."""
    nr = numbers()["socket"]
    kinds = list(itertools.product(range(46), range(1, 11),
                                   (0, 1, 2, 6, 17, 58, 132, 255)))
    # Whether a filter permits a call does not depend on the calls before it, so
    # most combinations can be left out: each domain with usual kinds, and each
    # kind of socket with usual domains.
    kinds = [k for k in kinds
             if k[1] in (STREAM, DGRAM, 3) and k[2] in (0, 17)
             or k[0] in (AF_INET, AF_INET6)]
    with check(f"sockets: {len(kinds)} kinds"):
        said = trial.tries([], [(nr, *kind) for kind in kinds])
        expect("open", sorted(kind for kind, result in zip(kinds, said)
                              if result != "killed"), sorted(SOCKETS))
    with check("sockets: flags do not matter"):
        said = trial.tries([], [(nr, AF_INET, DGRAM | 0o2004000, 0)])
        expect("opens", int(said[0]) >= 0, True)


def files(trial):
    """When passt tries to open, list or execute files, or to make a process or
    executable memory, then it is killed."""
    n = numbers()
    cwd, exec_, fixed, anon = -100, 4, 0x10, 0x22
    calls = {
        "open /": (n["open"], "=/", 0),
        "openat /": (n["openat"], cwd, "=/", 0o200000),
        "openat /proc": (n["openat"], cwd, "=/proc", 0o200000),
        "openat2 of another path": (n["openat2"], cwd, "=/etc/passwd",
                                    "=........", 24),
        "fstatat of a path": (n["newfstatat"], cwd, "=/etc/passwd", 0, 0),
        "unlinkat of a path": (n["unlinkat"], cwd, "=/etc/passwd", 0),
        "execve": (n["execve"], "=/bin/sh", 0, 0),
        "execveat": (n["execveat"], cwd, "=/bin/sh", 0, 0, 0),
        "fork": (n["fork"],),
        "clone": (n["clone"], 17),
        "mprotect": (n["mprotect"], 0, 4096, exec_),
        "ptrace": (n["ptrace"], 16, 1),
        "kill": (n["kill"], 1, 0),
        "ioctl TIOCSTI": (n["ioctl"], 0, 0x5412, 0),
        "setsockopt SO_ATTACH_BPF": (n["setsockopt"], 5, 1, 50),
        "madvise MADV_HWPOISON": (n["madvise"], 0, 4096, 100),
    }
    with check("files, processes, executable memory: killed"):
        said = trial.tries([], list(calls.values()))
        expect("lives", [name for name, result in zip(calls, said)
                         if result != "killed"], [])
    with check("vhost-user: no executable memory, none over the program"):
        said = trial.tries(["--vhost-user"], [
            (n["mmap"], 0, 4096, 3 | exec_, anon, -1, 0),
            (n["munmap"], 0, 1 << 46),
            (n["munmap"], 0, 1 << 38),
            (n["mmap"], 0, 1 << 46, 3, anon | fixed | 0x4000, -1, 0),
            (n["munmap"], 4096, 4096),
            (n["munmap"], "image", 4096),
            (n["mmap"], "image", 4096, 3, anon | fixed, -1, 0),
            (n["madvise"], "image", 4096, 4),
            (n["brk"], "image"),
            (n["mmap"], 0, 4096, 3, anon, -1, 0)])
        expect("results", [word if word == "killed" else int(word) > 0
                           for word in said],
               ["killed", "killed", False, "killed", False] +
               4 * ["killed"] + [True])


def namespaces(trial):
    """Given passt in the background, then its namespaces, its root directory and
    its capabilities are those of the sandbox."""
    pid_file = f"{trial.dir}/pid"
    subprocess.run([trial.passt, "-q", "-s", f"{trial.dir}/s", "-P", pid_file],
                   check=True, timeout=30, stderr=subprocess.DEVNULL)
    with open(pid_file, encoding="utf-8") as file:
        pid = int(file.read())
    try:
        with check("namespaces: own ones, but for the network"):
            expect("shared", [
                name for name in ("user", "mnt", "pid", "ipc", "uts", "cgroup",
                                  "net")
                if os.readlink(f"/proc/{pid}/ns/{name}")
                == os.readlink(f"/proc/self/ns/{name}")], ["net"])
        with check("the root directory is empty, and nothing can be made there"):
            expect("entries", os.listdir(f"/proc/{pid}/root/"), [])
            with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
                mounts = file.read().splitlines()
            expect("mounts", [(line.split()[4], line.split()[5].split(",")[0])
                              for line in mounts], [("/", "ro")])
        with check("no capabilities, no new privileges, two filters"):
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                status = dict(line.rstrip("\n").split(":\t", 1)
                              for line in file)
            expect("status", {key: int(status[key], 16) for key in
                              ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                               "NoNewPrivs", "Seccomp", "Seccomp_filters")},
                   {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": 0,
                    "CapAmb": 0, "NoNewPrivs": 1, "Seccomp": 2,
                    "Seccomp_filters": 2})
        with check("no core file"):
            with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
                core = re.search(r"core file size +(\d+) +(\d+)", file.read())
            expect("limits", core.groups(), ("0", "0"))
    finally:
        os.kill(pid, 15)
    with check("at its end, it removes its files from there"):
        wait_for("its end", lambda: not os.path.exists(f"/proc/{pid}/exe"))
        expect("left", [name for name in ("s", "pid")
                        if os.path.exists(f"{trial.dir}/{name}")], [])


def make_chroot(trial):
    """Makes a folder that passt can run in. Returns its path."""
    top = f"{trial.dir}/chroot"
    os.makedirs(f"{top}/dev")
    os.mknod(f"{top}/dev/null", 0o020666, os.makedev(1, 3))
    os.chmod(top, 0o777)
    shutil.copy(trial.passt, f"{top}/passt")
    out = subprocess.run(["ldd", trial.passt], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(", out):
        os.makedirs(top + os.path.dirname(library), exist_ok=True)
        shutil.copy(library, top + library)
    return top


def missing(lines):
    """The steps that --show-sandbox reports as not done."""
    return [line.partition(":")[0] for line in lines if ": no" in line]


def setups(trial):
    """The sandbox is complete for root, a user, and root of a namespace. Where
    the kernel refuses a part of it, one line says why, and with --strict passt
    does not start."""
    for name, before in (("root", ""), ("a user", USER),
                         ("root of a namespace", UNSHARED)):
        with check(f"{name}: everything is done, also with --strict"):
            status, lines, err = trial.shows(before, "--strict")
            expect(f"exit status, having said {err}", (status, missing(lines)),
                   (0, []))
            expect("steps", len(lines), 13)
    with check("in the foreground: all but the PID namespace"):
        status, lines, _ = trial.shows("", "-f", "--strict")
        expect("steps that are not done", (status, missing(lines)),
               (0, ["PID namespace"]))
    with check("root in a chroot: all but the user namespace"):
        chroot = make_chroot(trial)
        done = subprocess.run(
            ["chroot", chroot, "/passt", "--show-sandbox", "-s", "/socket"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=30, check=False)
        lines = done.stdout.splitlines()
        expect(f"exit status, having said {done.stderr}",
               (done.returncode, missing(lines)), (0, ["user namespace"]))
        expect("the root directory", [line for line in lines
                                      if line.startswith("empty root")],
               ["empty root directory: yes, in a chroot"])
    with check("a user without user namespaces: the rest is done"):
        status, lines, _ = trial.shows(NO_USERNS + " " + USER.replace(
            "--reuid 65534 --regid 65534 --clear-groups",
            "--bounding-set -all --inh-caps -all"))
        expect("exit status", status, 0)
        lacks = missing(lines)
        expect("not done", [step for step in lacks if "namespace" not in step],
               ["empty root directory"])
        expect("user namespace", "user namespace" in lacks, True)
    with check("there, --strict is an error, and each line says why"):
        status, lines, err = trial.shows(NO_USERNS + " " + USER.replace(
            "--reuid 65534 --regid 65534 --clear-groups",
            "--bounding-set -all --inh-caps -all"), "--strict")
        expect("exit status", (status, lines), (1, []))
        said = [line for line in err.splitlines() if "Sandbox:" in line]
        expect("lines", len(said), len(lacks))
        expect("reasons", [line for line in said
                           if not re.search(r": no: \w", line)], [])
    for name, user in ("root", ""), ("a user", USER):
        with check(f"{name} in a container: the rest is done"):
            status, lines, err = trial.shows(
                f"{trial.compiled('container')} {user}")
            expect(f"exit status, having said {err}", status, 0)
            expect("not done", [step for step in missing(lines)
                                if "namespace" not in step],
                   ["empty root directory", "keyring of its own"])


def many(trial):
    """Given a host with 200 addresses, and 200 rules, then passt sorts them
    without a system call that the sandbox does not permit."""
    rules = ",".join(str(port) for port in range(2000, 2400, 2))
    setup = ("ip link set lo up; for i in $(seq 100); do ip addr add "
             "192.0.2.$i/24 dev lo; ip addr add 2001:db8::$i/64 dev lo; done; "
             f"exec {trial.passt} -f -q -s {trial.dir}/many -t {rules}")
    with check("200 addresses and 200 rules: passt lives"):
        p = subprocess.Popen(["unshare", "-n", "sh", "-c", setup],
                             stderr=subprocess.DEVNULL)
        try:
            wait_for("its socket",
                     lambda: os.path.exists(f"{trial.dir}/many"))
            time.sleep(1)       # it reads the addresses soon after its start
            expect("exit status", p.poll(), None)
        finally:
            p.terminate()
            p.wait()
        expect("exit status", p.returncode, 0)


def stopped(trial):
    """Given a path that is in use, when passt is stopped and continued while
    it waits for it, then it is not killed."""
    path = f"{trial.dir}/busy"
    with check("stopped while it waits for its socket: it says why it ends"):
        first = subprocess.Popen([trial.passt, "-f", "-q", "-s", path],
                                 stderr=subprocess.DEVNULL)
        wait_for("its socket", lambda: os.path.exists(path))
        second = subprocess.Popen([trial.passt, "-f", "-q", "-s", path],
                                  stderr=subprocess.PIPE)
        for _ in range(10):
            time.sleep(0.05)
            second.send_signal(signal.SIGSTOP)
            time.sleep(0.01)
            second.send_signal(signal.SIGCONT)
        said = second.communicate(timeout=30)[1]
        first.terminate()
        expect("exit status", (first.wait(), second.returncode), (0, 1))
        expect("reason", b"in use" in said, True)


def story():
    if platform.machine() != "x86_64":
        with check("what passt can do in its sandbox"):
            raise Skip("sandbox.txt is for x86-64")
        return
    trial = Trial()
    try:
        namespaces(trial)
        many(trial)
        stopped(trial)
        setups(trial)
        every_call(trial)
        sockets(trial)
        files(trial)
    finally:
        trial.close()


if __name__ == "__main__":
    main(story)
