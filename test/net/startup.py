#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""startup.py - Tests how passt starts or refuses to, its files and its log.

If an option is wrong, passt must exit with status 1, leave nothing behind, and
print one line, which has the option, the value, and what would be right. If all
is right, the daemon must accept guests before its parent exits.
"""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from netlab import (Lab, Process, SERVER4, TOP, USERNS, check, children,
                    expect, expect_below, main, preload, program, serves, spawn_user,
                    wait_exit, wait_for)

sys.path.insert(0, os.path.join(TOP, "test/fuzz"))
import seeds  # noqa: E402

PORTS, ADDRESS = "1 to 65535|1-65535|65535", "address"

# Wrong options, and an expression that the error message must match. It must
# also contain the option and its value.
WRONG = (
    (["--frobnicate"], "--help"),
    (["-Z"], "--help"),
    (["bogus"], "--help"),
    (["--mtu"], "value|argument|needs"),
    (["-t", "70000"], PORTS),
    (["-t", "0"], PORTS),
    (["-t", "22-"], "."),
    (["-t", "80-22"], "."),
    (["-t", "ssh"], "."),
    (["-t", "22,,23"], "."),
    (["-t", "22:99999"], PORTS),
    (["-t", "1001-1010:2001-2005"], "."),
    (["-t", "auto"], "."),
    (["-t", "192.0.2.999/22"], ADDRESS),
    (["-u", "~"], "."),
    (["-u", "65536"], PORTS),
    (["-s", "/nonexistent/socket"], "path"),
    (["-s", "/" + "x" * 200], "bytes|long"),
    (["-s", ""], "path"),
    (["-P", "/nonexistent/pid"], "path"),
    (["-l", "/nonexistent/log"], "path"),
    (["-a", "192.0.2.256"], ADDRESS),
    (["-a", "192.0.2.1/33"], "32"),
    (["-a", "2001:db8::1/129"], "128"),
    (["-a", "2001:db8::g"], ADDRESS),
    (["-a", "255.255.255.255"], "unicast"),
    (["-a", "ff02::1"], "unicast"),
    (["-g", "gateway"], ADDRESS),
    (["-D", "resolver"], ADDRESS),
    (["-S", "a..b"], "domain"),
    (["-n", "255.0.255.0"], "mask"),
    (["-n", "33"], "mask"),
    (["-m", "65536"], "6553[56]|65520|65521"),
    (["-m", "65522"], "65521"),
    (["-m", "many"], "68"),
    (["-M", "1:2:3"], "MAC"),
    (["-M", "01:00:5e:00:00:01"], "unicast"),
    (["-i", "nosuchif"], "interface"),
    (["-F", "999"], "socket|descriptor"),
    (["-F", "one"], "number"),
    (["--runas", "nosuchuser"], "UID|LOGIN"),
    (["--log-size", "1"], "bytes"),
)


STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")


def run(lab, *options, **kw):
    """Runs passt until it exits. Returns exit status, lines of stderr, and
    stdout."""
    p = spawn_user(lab.host, [program(lab, kw.get("env")), *options],
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                   **kw)
    try:
        out, err = p.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        raise
    return p.returncode, err.splitlines(), out


def refuses(lab, options, says, *more):
    """Fails unless passt refuses these options with one line, and leaves no
    file and no process.

    @says: an expression that the line must match
    @more: options in front of them that are right
    """
    before = set(os.listdir(lab.dir))
    status, lines, _ = run(lab, *more, *options)
    expect("exit status", status, 1)
    expect("lines on stderr", len(lines), 1)
    long = {"-t": "--tcp-ports", "-u": "--udp-ports", "-s": "--socket",
            "-P": "--pid", "-p": "--pcap", "-l": "--log-file",
            "-a": "--address", "-g": "--gateway", "-D": "--dns",
            "-S": "--search", "-n": "--netmask", "-m": "--mtu",
            "-M": "--mac-addr", "-i": "--interface", "-F": "--fd"}
    for word in (long.get(options[-2], options[-2]) if len(options) > 1
                 else options[0], options[-1]):
        if word not in lines[0]:
            raise AssertionError(f"no {word!r} in: {lines[0]}")
    if not re.search(says, lines[0]):
        raise AssertionError(f"nothing of what would be right: {lines[0]}")
    expect("files left", sorted(set(os.listdir(lab.dir)) - before), [])
    expect("processes left", children(), [])


def wrong(lab):
    """Given an invalid option, then passt refuses it in one line."""
    usual = ("-s", lab.socket, "-P", f"{lab.dir}/pid")
    for options, says in WRONG:
        with check(f"refuses {' '.join(options)[:60]}"):
            refuses(lab, options, says, *(() if {"-s", "-P"} &
                                          set(options) else usual))
    with check("refuses -4 with -6"):
        status, lines, _ = run(lab, "-4", "-6", *usual)
        expect("exit status and lines", (status, len(lines)), (1, 1))
    with check("refuses a netmask beside a prefix length"):
        status, lines, _ = run(lab, "-a", "192.0.2.9/24", "-n", "24", *usual)
        expect("exit status and lines", (status, len(lines)), (1, 1))
    with lab.host.bind("0.0.0.0", 2001):
        for options, says in (
                (["-t", "2001"], ".*TCP port 2001.*in use.*another port"),
                (["-t", "1999-2002"], ".*TCP port 2001.*in use"),
                (["-t", "%nosuchif/22"], ".*nosuchif.*an interface"),
                (["-t", "80"], ".*port 80.*ip_unprivileged_port_start")
                )[:3 if USERNS else 4]:
            with check(f"refuses {' '.join(options)}, which can't be bound"):
                status, lines, _ = run(lab, *options, *usual)
                expect("exit status and lines", (status, len(lines)), (1, 1))
                if not re.match(says, lines[0]):
                    raise AssertionError(lines[0])
                expect("left", [f for f in usual[1::2]
                                if os.path.exists(f)], [])
    path = f"{lab.dir}/precious"
    with open(path, "w") as f:
        f.write("data")
    with check("refuses a file in the place of the socket, and keeps it"):
        status, lines, _ = run(lab, "-s", path)
        expect("exit status and lines", (status, len(lines)), (1, 1))
        with open(path) as f:
            expect("the file", f.read(), "data")


def informs(lab):
    for option in "--help", "-h", "--version":
        with check(f"{option} is printed, exit 0"):
            status, lines, out = run(lab, option)
            expect("exit status and errors", (status, lines), (0, []))
            expect_below("no output", 20, len(out))


def starts(lab, *options, path=None, **kw):
    """Starts a daemon. Returns its Process when the parent has exited."""
    pid_file = f"{lab.dir}/pid"
    options = (*options, "-P", pid_file)
    if path:
        options += ("-s", path)
    status, lines, _ = run(lab, *options, **kw)
    expect(f"exit status, having said {lines}", status, 0)
    with open(pid_file) as f:
        return Process(int(f.read()))


def answers(sock):
    """Sends an ARP request on the link; fails unless passt answers."""
    request = seeds.arp(1, "192.0.2.1")
    sock.settimeout(5)
    sock.sendall(struct.pack("!I", len(request)) + request)
    while True:
        size, = struct.unpack("!I", sock.recv(4, socket.MSG_WAITALL))
        frame = sock.recv(size, socket.MSG_WAITALL)
        if frame[12:14] == b"\x08\x06":
            return


def client(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


def daemon(lab):
    """Given no -f, then the parent exits when the daemon accepts guests."""
    passt = starts(lab, path=lab.socket)
    with check("daemon: accepts when its parent returns"):
        with client(lab.socket) as s:
            answers(s)
    with check("daemon: the pid file is right"):
        expect("alive", passt.alive(), True)
        expect("our descendants", children(), [passt.pid])
    with check("daemon: in a session of its own, at /, without a terminal"):
        expect("session", os.getsid(passt.pid), passt.pid)
        expect("directory", os.readlink(f"/proc/{passt.pid}/cwd"), "/")
        expect("stdio", {os.readlink(f"/proc/{passt.pid}/fd/{fd}")
                         for fd in range(3)}, {"/dev/null"})
    with check("daemon: ends on SIGTERM, and leaves nothing"):
        expect("exit status", passt.kill(signal.SIGTERM), 0)
        expect("left", [f for f in (lab.socket, f"{lab.dir}/pid")
                        if os.path.exists(f)], [])


def descriptors(lab):
    """Given an additional inherited descriptor, then passt closes it; given no
    stdin, stdout and stderr, then it starts, too."""
    with check("descriptors that were inherited are closed"):
        r, w = os.pipe()
        passt = starts(lab, path=lab.socket, pass_fds=(w,))
        os.close(w)
        expect("read from the pipe", os.read(r, 1), b"")
        os.close(r)
        passt.kill(signal.SIGTERM)
    with check("stdin, stdout and stderr may be closed"):
        p = spawn_user(lab.host, [
            "sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", lab.passt_bin, "-s",
            lab.socket, "-P", f"{lab.dir}/pid"])
        expect("exit status", wait_exit(p.pid), 0)
        with client(lab.socket) as s:
            answers(s)
        with open(f"{lab.dir}/pid") as f:
            Process(int(f.read())).kill(signal.SIGTERM)


def one_off(lab):
    """Given -1, when the guest leaves, then passt ends, whatever the guest has
    sent."""
    for name, say in (("said nothing", b""), ("half a frame", b"\0\0\1\0half"),
                      ("nonsense", b"\xff" * 100)):
        with check(f"one-off: ends when the guest left ({name})"):
            passt = starts(lab, "-1", path=lab.socket)
            with client(lab.socket) as s:
                s.sendall(say)
                time.sleep(0.1)
            wait_exit(passt.pid)
            expect("socket left", os.path.exists(lab.socket), False)


def inherited(lab):
    """Given a connected socket, then passt serves it, and ends when it is
    closed."""
    with check("inherited socket: served, passt ends with it"):
        ours, theirs = socket.socketpair()
        passt = starts(lab, "-F", str(theirs.fileno()),
                       pass_fds=(theirs.fileno(),))
        theirs.close()
        with ours:
            answers(ours)
        expect("exit status", wait_exit(passt.pid), 0)


def default_socket(lab):
    """Given no path of a socket, then passt takes the first default path that
    no other passt listens on."""
    lab.own_tmp()
    names = [f"/tmp/passt_{n}.socket" for n in (1, 2)]
    with check("default sockets: the first free ones"):
        daemons = []
        for name in names:
            daemons.append(starts(lab))
            with client(name) as s:
                answers(s)
    with check("default sockets: a stale one is reused"):
        daemons[0].kill()
        expect("stale socket", os.path.exists(names[0]), True)
        daemons[0] = starts(lab)
        with client(names[0]) as s:
            answers(s)
    with check("default sockets: removed at the end"):
        for passt in daemons:
            passt.kill(signal.SIGTERM)
        expect("left", [n for n in names if os.path.exists(n)], [])
    with check("a given socket that is in use is left alone"):
        passt = starts(lab, path=lab.socket)
        status, lines, _ = run(lab, "-s", lab.socket)
        expect("exit status and lines", (status, len(lines)), (1, 1))
        with client(lab.socket) as s:
            answers(s)
        passt.kill(signal.SIGTERM)
    with check("a given socket that its killed owner is about to close"):
        owner = socket.socket(socket.AF_UNIX)
        owner.bind(lab.socket)
        owner.listen()
        os.chmod(lab.socket, 0o777)
        threading.Timer(0.5, owner.close).start()
        passt = starts(lab, path=lab.socket)
        with client(lab.socket) as s:
            answers(s)
        passt.kill(signal.SIGTERM)


def as_root(lab):
    """Given root, then passt continues as nobody, or as the given user."""
    if USERNS:
        return
    for options, uid, gid in (((), 65534, 65534),
                              (("--runas", "1234:1235"), 1234, 1235)):
        with check(f"started as root: goes on as {uid}"):
            passt = starts(lab, *options, path=lab.socket, root=True)
            expect("users", passt.status("Uid").split(), [str(uid)] * 4)
            expect("groups", passt.status("Gid").split(), [str(gid)] * 4)
            expect("other groups", passt.status("Groups"), "")
        with check(f"started as root: {uid} has no capability"):
            for field in "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
                expect(field, int(passt.status(field), 16), 0)
            expect("NoNewPrivs", passt.status("NoNewPrivs"), "1")
        with check(f"started as root: {uid} serves"):
            with client(lab.socket) as s:
                answers(s)
        passt.kill(signal.SIGTERM)
    with check("started as root: may forward ports below 1024"):
        passt = starts(lab, "-t", "80", path=lab.socket,
                       root=True)
        passt.kill(signal.SIGTERM)


def read(path):
    with open(path) as f:
        return f.read()


def pid_file(lab):
    """Given the pid file of one passt, when another passt fails to start or
    ends, then the file does not change."""
    pid, other = f"{lab.dir}/pid", f"{lab.dir}/other"
    with check("pid file: a second passt that does not start leaves it alone"):
        passt = starts(lab, path=lab.socket)
        status, _, _ = run(lab, "-s", lab.socket, "-P", pid)
        expect("exit status", status, 1)
        status, _, _ = run(lab, "-s", other, "-P", pid, "-t", "70000")
        expect("exit status", status, 1)
        with lab.host.bind("0.0.0.0", 2001):
            status, _, _ = run(lab, "-s", other, "-P", pid, "-t", "2001")
        expect("exit status", status, 1)
        expect("its text", read(pid), f"{passt.pid}\n")
    with check("pid file: no descriptor of it stays open"):
        names = [os.readlink(f"/proc/{passt.pid}/fd/{fd}")
                 for fd in os.listdir(f"/proc/{passt.pid}/fd")]
        expect("open", [n for n in names if n.startswith(f"{lab.dir}/")], [])
    with check("pid file: written anew by a second one that starts"):
        second = starts(lab, path=other)
        expect("its text", read(pid), f"{second.pid}\n")
    with check("pid file: the first does not remove what is the second's"):
        passt.kill(signal.SIGTERM)
        expect("its text", read(pid), f"{second.pid}\n")
        second.kill(signal.SIGTERM)
        expect("left", os.path.exists(pid), False)
    with check("pid file: a longer number that was there is gone"):
        with open(os.open(pid, os.O_CREAT | os.O_WRONLY, 0o666), "w") as f:
            os.fchmod(f.fileno(), 0o666)
            f.write("1234567890123\n")
        passt = starts(lab, path=lab.socket)
        expect("its text", read(pid), f"{passt.pid}\n")
        passt.kill(signal.SIGTERM)
    with check("pid file: a pipe that nobody reads is refused in one line"):
        os.mkfifo(pid)
        os.chmod(pid, 0o666)
        status, lines, _ = run(lab, "-s", lab.socket, "-P", pid)
        expect("exit status and lines", (status, len(lines)), (1, 1))
        os.unlink(pid)
    with check("SIGTERM at once after the start: no file is left"):
        env = preload(lab, "inject.c", INJECT_CALL="sigprocmask",
                      INJECT_WHILE=lab.dir, INJECT_ERRNO="0")
        passt = starts(lab, path=lab.socket, env=env)
        passt.kill(signal.SIGTERM)
        expect("left", [f for f in (pid, lab.socket) if os.path.exists(f)], [])
    with check("a socket at the path of a later passt is not removed"):
        passt = starts(lab, path=lab.socket)
        os.rename(f"{lab.dir}/pid", other)
        os.unlink(lab.socket)
        second = starts(lab, path=lab.socket)
        passt.kill(signal.SIGTERM)
        with client(lab.socket) as s:
            answers(s)
        second.kill(signal.SIGTERM)
        expect("left", [n for n in (lab.socket, pid) if os.path.exists(n)], [])
        os.unlink(other)


def relative(lab):
    """Given relative paths, then passt finds and removes its files at the end,
    although a daemon changes its directory."""
    for options in ((), ("-f",)):
        with check(f"relative paths {' '.join(options)}: gone at the end"):
            where = f"{lab.dir}/where"
            os.makedirs(where, exist_ok=True)
            os.chmod(where, 0o777)
            p = spawn_user(lab.host, [lab.passt_bin, "-s", "sock", "-P", "pid",
                                      "-l", "log", "-p", "pcap", *options],
                           cwd=where, stderr=subprocess.DEVNULL)
            wait_for("pid", lambda: os.path.exists(f"{where}/pid")
                     and read(f"{where}/pid"))
            passt = Process(int(read(f"{where}/pid")))
            if not options:
                wait_exit(p.pid)
            wait_for("start", passt.started)
            with client(f"{where}/sock") as s:
                answers(s)
            passt.kill(signal.SIGTERM)
            expect("left", sorted(os.listdir(where)), ["log", "pcap"])
            for name in os.listdir(where):
                os.unlink(f"{where}/{name}")


def race(lab):
    """Given many passt that start at once, and stale sockets, then each gets
    a default path of its own."""
    with check("many that start at once: each default socket is one's own"):
        lab.own_tmp()
        wrong = []
        for _ in range(4):
            many = [spawn_user(lab.host, [lab.passt_bin, "-q"],
                               stderr=subprocess.DEVNULL) for _ in range(12)]
            for p in many:
                expect("exit status", wait_exit(p.pid, 30), 0)
            daemons = [Process(pid) for pid in children()]
            names = [n for n in os.listdir("/tmp") if n.endswith(".socket")]
            wrong += [] if len(names) == 12 else [len(names)]
            for name in names:
                with client(f"/tmp/{name}") as s:
                    answers(s)
            for passt in daemons:
                passt.kill(signal.SIGKILL)
        expect("sockets of twelve", wrong, [])


def modes(lab):
    """Given a umask, then it decides who may connect to the socket, but only
    the user may read log and capture."""
    for mask, want in ((0o022, 0o755), (0o007, 0o770), (0o077, 0o700)):
        with check(f"umask {mask:03o}: the socket's mode is {want:o}"):
            passt = starts(lab, "-l", f"{lab.dir}/log", "-p",
                           f"{lab.dir}/pcap", path=lab.socket, umask=mask)
            expect("mode", os.stat(lab.socket).st_mode & 0o777, want)
            for name in "log", "pcap":
                expect(f"mode of {name}", os.stat(f"{lab.dir}/{name}").st_mode
                       & 0o777, 0o600)
                os.unlink(f"{lab.dir}/{name}")
            passt.kill(signal.SIGTERM)


def foreign_files(lab):
    """Given root and --runas, when that user has made symbolic links to root's
    files, then passt neither changes nor removes those files."""
    if USERNS:
        return
    alice, root = f"{lab.dir}/alice", f"{lab.dir}/root"
    os.mkdir(alice)
    os.chown(alice, 1234, 1234)
    os.mkdir(root)
    precious = f"{root}/precious"
    with open(precious, "w") as f:
        f.write("data")
    user = ("--runas", "1234:1234")
    for option in "-p", "-l", "-P":
        with check(f"root, {option}: a link of the user's is not followed"):
            os.symlink(precious, f"{alice}/link")
            status, _, _ = run(lab, *user, "-s", f"{alice}/socket", option,
                               f"{alice}/link", root=True)
            expect("exit status", status, 0 if option == "-p" else 1)
            for pid in children():
                Process(pid).kill(signal.SIGTERM)
            expect("the file", read(precious), "data")
            os.unlink(f"{alice}/link")
    with check("root: files in the user's directory are the user's"):
        passt = starts(lab, *user, "-l", f"{alice}/log", "-p",
                       f"{alice}/pcap", path=f"{alice}/socket", root=True)
        expect("owners", {os.lstat(f"{alice}/{n}").st_uid
                          for n in ("log", "pcap", "socket")}, {1234})
        with client(f"{alice}/socket") as s:
            answers(s)
        passt.kill(signal.SIGTERM)
        expect("left", sorted(os.listdir(alice)), ["log", "pcap"])
    with check("root: nor is a socket made, or removed, behind a link"):
        os.symlink(root, f"{alice}/way")
        status, _, _ = run(lab, *user, "-s", f"{alice}/way/socket", root=True)
        expect("exit status", status, 1)
        expect("root's files", os.listdir(root), ["precious"])


def as_root_of_all(lab):
    """Given root, then passt can make its files where only root may write."""
    if USERNS:
        return
    where = "/run/passt-test"
    os.makedirs(where, mode=0o755)
    try:
        with check("root: files where only root may write"):
            run_kw = {"root": True, "umask": 0o022}
            status, lines, _ = run(
                lab, "--runas", "1234:1234", "-s", f"{where}/socket", "-P",
                f"{where}/pid", "-l", f"{where}/log", **run_kw)
            expect(f"exit status, having said {lines}", status, 0)
            passt = Process(int(read(f"{where}/pid")))
            expect("user", passt.status("Uid").split()[0], "1234")
            expect("owners", [os.lstat(f"{where}/{n}").st_uid for n in
                              ("socket", "pid", "log")], [1234, 0, 0])
            with client(f"{where}/socket") as s:
                answers(s)
            passt.kill(signal.SIGTERM)
        with check("root: --runas 0 is refused"):
            status, lines, _ = run(lab, "--runas", "0", "-s", lab.socket,
                                   root=True)
            expect("exit status and lines", (status, len(lines)), (1, 1))
        with check("root that acts as a user does not remain root"):
            p = lab.host.spawn(
                sys.executable, "-c", "import os, sys; "
                "os.setresuid(0, 1234, 0); os.execv(sys.argv[1], sys.argv[1:])",
                lab.passt_bin, "-f", "-q", "-s", f"{lab.dir}/as1234")
            passt = Process(p.pid)
            wait_for("start", lambda: p.poll() is not None or
                     passt.started())
            expect("users", passt.status("Uid").split(), ["1234"] * 4)
            passt.kill(signal.SIGTERM)
    finally:
        shutil.rmtree(where)


def records(lab):
    """Given -p, then tcpdump can read the capture."""
    pcap = f"{lab.dir}/pcap"
    passt = lab.passt("-p", pcap)
    guest = lab.attach()
    serves(lab)
    lab.guest.run("ping", "-c", "1", "-W", "2", SERVER4)
    guest.kill()
    passt.kill(signal.SIGTERM)
    with check("pcap: tcpdump reads it"):
        out = lab.host.run("tcpdump", "-Z", "root", "-nr", pcap)
        for what in ("ARP, Request", "ARP, Reply", "BOOTP/DHCP, Reply",
                     "router advertisement", "ICMP echo request",
                     "ICMP echo reply", "Flags [S.]"):
            if what not in out:
                raise AssertionError(f"no {what!r} in {len(out)} bytes")
    with check("pcap: checksums are right"):
        out = lab.host.run("tcpdump", "-Z", "root", "-vvnr",
                           pcap)
        bad = [line for line in out.splitlines()
               if re.search(r"incorrect|bad cksum|wrong", line)]
        expect("lines", bad, [])


def logs(lab):
    """Given -l, then messages go to the file, whose size is bounded."""
    log = f"{lab.dir}/log"
    with check("log file: says who came"):
        passt = lab.passt("-l", log)
        lab.attach().kill()
        wait_for("a message", lambda: os.path.getsize(log) > 20)
        passt.kill(signal.SIGTERM)
        with open(log) as f:
            text = f.read()
        if "guest" not in text:
            raise AssertionError(text)
    with check("log file: bounded"):
        passt = lab.passt("--trace", "-l", log, "--log-size", "65536")
        with client(lab.socket) as s:
            for _ in range(1500):
                answers(s)
                expect_below("bytes of log", os.path.getsize(log), 65536 + 1)
        passt.kill(signal.SIGTERM)
    with check("log file: who waits for the start hears the same on stderr"):
        status, lines, _ = run(lab, "-s", lab.socket, "-l", log,
                               "-P", f"{lab.dir}/pid")
        expect("exit status", status, 0)
        expect("first line", lines[0],
               f"UNIX domain socket bound at {lab.socket}")
        text = read(log)
        for line in lines:
            if f" info: {line}\n" not in text:
                raise AssertionError(f"not in the file: {line}")
        Process(int(read(f"{lab.dir}/pid"))).kill(signal.SIGTERM)
    with check("the first line says where the socket is"):
        status, lines, _ = run(lab, "-s", lab.socket, "-t", "127.0.0.1/all",
                               "-P", f"{lab.dir}/pid")
        expect("first line", lines[0],
               f"UNIX domain socket bound at {lab.socket}")
        expect("lines with a time", [n for n in lines if STAMP.match(n)], [])
        Process(int(read(f"{lab.dir}/pid"))).kill(signal.SIGTERM)
    with check("a capture that can't be written is a warning"):
        passt = lab.passt("-p", "/nonexistent/pcap")
        if not re.search("^passt: --pcap /nonexistent/pcap: .*path",
                         lab.messages(), re.M):
            raise AssertionError(lab.messages())
        with client(lab.socket) as s:
            answers(s)
        passt.kill(signal.SIGTERM)
    with check("quiet: nothing on stderr"):
        p = lab.passt("-q")
        p.kill(signal.SIGTERM)
        with open(f"{lab.dir}/passt.log") as f:
            expect("messages", f.read(), "")


def levels(lab):
    """Given -d or --trace, then there are more messages, each with its time."""
    said = {}
    for option in "", "-d", "--trace":
        passt = lab.passt(*[option] if option else ())
        guest = lab.attach()
        serves(lab)
        guest.kill()
        wait_for("the end", lambda: "disconnected" in lab.messages())
        passt.kill(signal.SIGTERM)
        said[option] = lab.messages().splitlines()
    with check("--debug says more than nothing, --trace more than --debug"):
        expect_below("lines", len(said[""]), len(said["-d"]))
        expect_below("lines", len(said["-d"]) + 20, len(said["--trace"]))
    with check("--debug and --trace: each line has its time, in order"):
        for option in "-d", "--trace":
            expect("lines without", [n for n in said[option]
                                     if not STAMP.match(n)], [])
            times = [STAMP.match(n)[0] for n in said[option]]
            expect("in order", times == sorted(times), True)
        expect("lines with", [n for n in said[""] if STAMP.match(n)], [])


def counters(lab):
    """Given SIGUSR1 or --stats, then passt logs its counters, even with -q."""
    for options in (), ("-q",):
        with check(f"SIGUSR1 {' '.join(options)}: logs the counters"):
            passt = lab.passt(*options)
            with client(lab.socket) as s:
                answers(s)
                os.kill(passt.pid, signal.SIGUSR1)
                wait_for("counters", lambda: re.search(
                    r"^counters: flows 0\n(counters: \w+ [1-9]\d*\n)+",
                    lab.messages(), re.M))
            passt.kill(signal.SIGTERM)
    with check("--stats 1: logs the counters of an idle daemon each second"):
        passt = lab.passt("--stats", "1")
        time.sleep(3.5)
        expect("times", lab.messages().count("counters: flows"), 3)
        passt.kill(signal.SIGTERM)


def no_ping(lab):
    """Given no ping sockets, then passt names the sysctl at start (I2)."""
    with check("no ping sockets: says which sysctl, goes on"):
        passt = lab.passt()
        lab.attach()
        serves(lab)
        if "net.ipv4.ping_group_range" not in lab.messages():
            raise AssertionError(lab.messages())
        passt.kill(signal.SIGTERM)


def offline(lab):
    """Given a host without addresses, then passt starts, and leases link-local
    addresses."""
    lab.host.ip("link set eth0 down", "addr flush dev eth0")
    with check("offline: starts, and leases a link-local address"):
        passt = lab.passt()
        lab.attach(configure=False)
        lease = lab.dhcp()
        expect("address", lease["ip"], "169.254.2.1")
        expect("router", lease["router"], "169.254.2.2")
        passt.kill(signal.SIGTERM)


def story():
    for part in (wrong, informs, daemon, descriptors, one_off, inherited,
                 pid_file, relative, race, modes, as_root, foreign_files,
                 as_root_of_all, records, logs, levels, counters, no_ping,
                 offline, default_socket):
        with check(f"{part.__name__} ran to its end"), \
                Lab(ping=part is not no_ping) as lab:
            part(lab)


if __name__ == "__main__":
    main(story)
