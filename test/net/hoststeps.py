# SPDX-License-Identifier: AGPL-3.0-or-later
"""hoststeps.py - Random changes of a host's network, for hostwalk.py.

A step is a tuple: what to do, and its arguments. Steps depend on the seed only,
and not on the state of the host: a step that the kernel refuses changes
nothing. So any part of a walk can be taken again.

The host has up to three interfaces, eth0 to eth2, each a veth pair whose other
end, o.eth0 to o.eth2, is outside. A renamed interface is lan0 to lan2.
"""

import contextlib
import os
import random
import stat
import time

from netlab import SERVER4, SERVER6

NETS4 = "192.0.2", "100.64.7", "10.9.8"
NETS6 = "2001:db8:1", "2001:db8:7", "2001:db8:8"
LOCAL6 = "fd00:1", "fd00:7", "fd00:8"
RESOLV = "/etc/resolv.conf"
SIZES = 1, 1, 1, 1, 2, 2, 3, 4, 6, 8, 9, 9       # changes of a group
TABLES = "main", "main", "main", "100", "200"
LINES = "".join(f"# line {i}\n" for i in range(20000))


def make_commands(n):
    """Steps that make interface @n, configured outside only."""
    name = f"eth{n}"
    return [("host", f"link del {name}"), ("outside", f"link del o.{name}"),
            ("veth", name), *outside_commands(n, name),
            ("host", f"link set {name} up")]


def outside_commands(n, name):
    return [("outside", line) for line in (
        f"link set o.{name} up",
        f"addr replace {NETS4[n]}.1/24 dev o.{name}",
        f"addr replace fe80::1/64 dev o.{name} nodad",
        f"addr replace {NETS6[n]}::1/48 dev o.{name} nodad",
        f"addr replace {LOCAL6[n]}::1/48 dev o.{name} nodad")]


def base_commands(n=0):
    """Steps to a host as most are: one interface with addresses and routes."""
    return [*make_commands(n),
            ("host", f"addr add {NETS4[n]}.2/24 dev eth{n}"),
            ("host", f"addr add {NETS6[n]}::2/64 dev eth{n} nodad"),
            ("host", f"route replace default via {NETS4[n]}.1 dev eth{n}"),
            ("host", f"-6 route replace default via fe80::1 dev eth{n}")]


def clear_commands():
    """Steps that take away all that a walk has made, except interfaces."""
    lines = [f"{f} rule flush" for f in ("-4", "-6")]
    for f in "-4", "-6":
        lines += [f"{f} rule add pref 32766 table main",
                  f"{f} rule add pref 32767 table default"]
    lines += [f"{f} route flush table {table}" for f in ("-4", "-6")
              for table in ("100", "200", "main")]
    return [("sysctl", "all", 0), ("sysctl", "default", 0),
            ("host", "nexthop flush"), ("host", "link del lan0"),
            ("host", "link del lan1"), ("host", "link del lan2"),
            ("host", "link del br0"), *(("host", line) for line in lines)]


def weight(n):
    """How often a method of Walk is chosen, among the others."""
    def note(method):
        method.weight = n
        return method
    return note


class Walk:
    """Makes the steps of one seed. @names: what the interfaces are called."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.names = ["eth0", "eth1", "eth2"]
        self.kinds = [getattr(self, name) for name in sorted(dir(self))
                      if name.startswith("do_")]
        self.weights = [kind.weight for kind in self.kinds]

    def groups(self, changes):
        """Lists of steps, with @changes changes in all. One group in six puts
        the host in order first, so that a walk does not stay in a corner."""
        while changes > 0:
            steps = []
            if self.rng.random() < 0.16:
                steps = self.order()
            for _ in range(min(self.rng.choice(SIZES), changes)):
                steps += self.rng.choices(self.kinds, self.weights)[0]()
                steps += self.pause()
                changes -= 1
            yield steps

    def order(self):
        self.names = ["eth0", "eth1", "eth2"]
        steps = clear_commands()
        for n in 1, 2, 0:
            steps += make_commands(n)
        return steps + base_commands(self.rng.randrange(3)) + [
            ("resolv", "write", f"nameserver {SERVER4}\n")]

    def pause(self):
        wait = self.rng.choice((0, 0, 0, 0.02, 0.12, 0.25))
        return [("sleep", wait)] if wait else []

    def some(self):
        """An interface: its number and its name now."""
        n = self.rng.choice((0, 0, 1, 1, 2))
        return n, self.names[n]

    def addr4(self, n):
        last = self.rng.choice((2, 77, 78, 130))
        return f"{NETS4[n]}.{last}/{self.rng.choice((24, 24, 25, 16, 30, 32))}"

    def addr6(self, n):
        net = self.rng.choice((f"{NETS6[n]}::", f"{NETS6[n]}::",
                               f"{NETS6[n]}:1::", f"{LOCAL6[n]}::"))
        last = self.rng.choice(("2", "77", "78"))
        return f"{net}{last}/{self.rng.choice((64, 64, 64, 64, 80, 128, 48))}"

    def flags6(self):
        return self.rng.choice(("nodad", "nodad", "", "nodad preferred_lft 0",
                                "nodad noprefixroute", "nodad home",
                                "nodad preferred_lft 3 valid_lft 300"))

    def flags4(self):
        return self.rng.choice(("", "", "", "preferred_lft 0", "scope link",
                                "noprefixroute", "metric 50", "scope host"))

    @weight(5)
    def do_add4(self):
        n, name = self.some()
        return [("host", f"addr add {self.addr4(n)} dev {name} "
                         f"{self.flags4()}")]

    @weight(5)
    def do_add6(self):
        n, name = self.some()
        return [("host", f"addr add {self.addr6(n)} dev {name} "
                         f"{self.flags6()}")]

    @weight(3)
    def do_del4(self):
        n, name = self.some()
        return [("host", f"addr del {self.addr4(n)} dev {name}")]

    @weight(3)
    def do_del6(self):
        n, name = self.some()
        return [("host", f"addr del {self.addr6(n)} dev {name}")]

    @weight(2)
    def do_change_flags(self):
        n, name = self.some()
        addr = self.rng.choice((self.addr4, self.addr6))(n)
        left = self.rng.choice(("0", "forever", "2"))
        return [("host", f"addr change {addr} dev {name} preferred_lft "
                         f"{left} valid_lft forever")]

    @weight(4)
    def do_replace(self):
        n, name = self.some()
        return [("host", f"-4 addr flush dev {name}"),
                ("host", f"addr add {self.addr4(n)} dev {name}"),
                ("host", f"route replace default via {NETS4[n]}.1 dev {name}")]

    @weight(4)
    def do_replace6(self):
        n, name = self.some()
        return [("host", f"-6 addr flush dev {name} scope global"),
                ("host", f"addr add {self.addr6(n)} dev {name} nodad"),
                ("host", f"-6 route replace default via fe80::1 dev {name}")]

    @weight(1)
    def do_far_end(self):
        n, name = self.some()
        return [("host", f"addr add {NETS4[n]}.2 peer {NETS4[n]}.1 dev {name}")]

    def route(self, family):
        n, name = self.some()
        net = (NETS4, NETS6)[family == 6][n]
        via = f"{net}.1" if family == 4 else self.rng.choice(
            ("fe80::1", f"{net}::1", "fe80::9"))
        via = self.rng.choice((f"via {via} dev {name}", f"dev {name}",
                               f"via {via} dev {name} onlink",
                               f"via {via} dev {name}"))
        metric = self.rng.choice(("", "", "metric 5", "metric 50"))
        src = "" if self.rng.random() < 0.8 else \
            f"src {(self.addr4 if family == 4 else self.addr6)(n)}"
        table = self.rng.choice(TABLES)
        return f"{via} {metric} {src.partition('/')[0]} table {table}"

    def both(self, make):
        """A step for one of the families, or for both."""
        families = self.rng.choice(((4,), (6,), (4, 6)))
        return [("host", f"-{f} {make(f)}") for f in families]

    @weight(7)
    def do_route(self):
        what = self.rng.choice(("add", "append", "prepend", "replace"))
        return self.both(lambda f: f"route {what} default {self.route(f)}")

    @weight(4)
    def do_route_del(self):
        return self.both(lambda f: "route del default " + self.rng.choice(
            ("", f"dev {self.some()[1]}", "table 100", "metric 5")))

    @weight(2)
    def do_halves(self):
        what = self.rng.choice(("add", "del"))
        route = self.route(4), self.route(6)
        return [("host", f"-4 route {what} {dst} {route[0]}")
                for dst in ("0.0.0.0/1", "128.0.0.0/1")] + \
            [("host", f"-6 route {what} {dst} {route[1]}")
             for dst in ("::/1", "8000::/1")]

    @weight(3)
    def do_refuse(self):
        kind = self.rng.choice(("blackhole", "unreachable", "prohibit",
                                "throw"))
        what = self.rng.choice(("add", "del", "del"))
        far = self.rng.random() < 0.5
        metric = self.rng.choice(("", "metric 5"))
        table = self.rng.choice(TABLES)
        return self.both(lambda f: f"route {what} {kind} " + (
            "default" if far else ("198.51.100.0/24", "2001:db8:2::/64")[f == 6]
        ) + f" {metric} table {table}")

    @weight(4)
    def do_rule(self):
        what = self.rng.choice(("add", "add", "del"))
        rule = self.rng.choice((
            "pref 100 table 100", "pref 90 table 200",
            "pref 101 table main suppress_prefixlength 0",
            "pref 102 not fwmark 0xca6c table 100",
            "pref 103 fwmark 0x7 table 200", "pref 104 prohibit",
            "pref 104 unreachable", "pref 95 to 198.51.100.0/24 table 200",
            "pref 96 oif eth1 table 200"))
        return self.both(lambda f: f"rule {what} {rule}" if f == 4 or "to" not
                         in rule else f"rule {what} pref 95 to 2001:db8:2::/64 "
                         "table 200")

    @weight(2)
    def do_wireguard(self):
        what = self.rng.choice(("add", "del"))
        table = self.rng.choice(("100", "200"))
        return self.both(lambda f: f"rule {what} pref 101 table main "
                         "suppress_prefixlength 0") + \
            self.both(lambda f: f"rule {what} pref 102 not fwmark 0xca6c "
                      f"table {table}") + \
            self.both(lambda f: f"route replace default {self.route(f)}")

    @weight(1)
    def do_no_rules(self):
        return [step for step in clear_commands() if "rule" in step[1]]

    @weight(1)
    def do_hops(self):
        hops = " ".join(f"nexthop via {NETS4[n]}.1 dev {self.names[n]} weight "
                        f"{self.rng.randint(1, 5)}" for n in (0, 1))
        return [("host", f"route {self.rng.choice(('add', 'replace', 'del'))} "
                         f"default {hops}")]

    @weight(2)
    def do_nexthop(self):
        n, name = self.some()
        v6 = self.rng.random() < 0.5
        via = "fe80::1" if v6 else f"{NETS4[n]}.1"
        return [("host", f"nexthop replace id {6 if v6 else 4} via {via} dev "
                         f"{name}"),
                ("host", f"-{6 if v6 else 4} route "
                         f"{self.rng.choice(('replace', 'append', 'add'))} "
                         f"default nhid {6 if v6 else 4}")]

    @weight(1)
    def do_nexthop_del(self):
        return [("host", f"nexthop del id {self.rng.choice((4, 6))}")]

    @weight(3)
    def do_down_up(self):
        _, name = self.some()
        if self.rng.random() < 0.5:
            return [("host", f"link set {name} down"), *self.pause(),
                    ("host", f"link set {name} up")]
        return [("host", f"link set {name} "
                         f"{self.rng.choice(('down', 'up'))}")]

    @weight(3)
    def do_carrier(self):
        n, name = self.some()
        if self.rng.random() < 0.4:
            return [("outside", f"link set o.{name} down")]
        return outside_commands(n, name)

    @weight(3)
    def do_again(self):
        n, name = self.some()
        steps = [("host", f"link del {name}"), *self.pause()]
        if self.rng.random() < 0.2:
            return steps
        self.names[n] = f"eth{n}"
        return steps + make_commands(n) + [
            ("host", f"addr add {self.addr4(n)} dev eth{n}"),
            ("host", f"addr add {self.addr6(n)} dev eth{n} nodad")]

    def rename(self, old, new):
        return [("host", f"link set {old} name {new}"),
                ("outside", f"link set o.{old} name o.{new}")]

    @weight(2)
    def do_rename(self):
        n, name = self.some()
        new = f"lan{n}" if name.startswith("eth") else f"eth{n}"
        self.names[n] = new
        steps = [("host", f"link set {name} down")] + self.rename(name, new)
        return steps + [("host", f"link set {new} up")]

    @weight(2)
    def do_rename_up(self):
        n, name = self.some()
        new = f"lan{n}" if name.startswith("eth") else f"eth{n}"
        self.names[n] = new
        steps = self.rename(name, new)
        if self.rng.random() < 0.4:     # another one takes the name
            steps += [("veth", name), *outside_commands(n, name),
                      ("host", f"link set {name} up")]
        return steps

    @weight(1)
    def do_swap(self):
        a, b = self.names[0], self.names[1]
        return self.rename(a, "swap") + self.rename(b, a) + \
            self.rename("swap", b)

    @weight(3)
    def do_mtu(self):
        _, name = self.some()
        mtu = self.rng.choice((60, 68, 1279, 1280, 1500, 1500, 9000))
        return [("host", f"link set {name} mtu {mtu}")] + (
            [("host", f"link set {name} mtu 1500")]
            if self.rng.random() < 0.5 else [])

    @weight(1)
    def do_neighbour(self):
        n, name = self.some()
        return [("host", self.rng.choice((
            f"neigh replace {NETS4[n]}.1 lladdr 02:00:00:00:00:99 dev {name}",
            f"neigh replace fe80::1 lladdr 02:00:00:00:00:99 dev {name} nud "
            "stale", f"neigh flush dev {name}", f"neigh flush dev {name}")))]

    @weight(3)
    def do_ipv6(self):
        _, name = self.some()
        where = self.rng.choice((name, name, "all", "default"))
        if self.rng.random() < 0.5:
            return [("sysctl", where, 1), *self.pause(), ("sysctl", where, 0)]
        return [("sysctl", where, self.rng.choice((0, 0, 1)))]

    @weight(1)
    def do_bridge(self):
        n, name = self.some()
        if self.rng.random() < 0.5:
            return [("host", "link del br0")]
        return [("host", "link add br0 type bridge"),
                ("host", f"link set {name} master br0"),
                ("host", "link set br0 up"),
                ("host", f"addr add {self.addr4(n)} dev br0"),
                ("host", f"addr add {self.addr6(n)} dev br0 nodad")]

    @weight(2)
    def do_burst(self):
        n, name = self.some()
        lines = []
        for i in range(self.rng.choice((200, 400))):
            lines += self.rng.choice((
                [f"addr add 203.0.115.{i % 250 + 1}/32 dev {name}",
                 f"addr del 203.0.115.{i % 250 + 1}/32 dev {name}"],
                [f"route replace default via {NETS4[n]}.1 dev {name}"],
                [f"route replace 203.0.116.{i % 250}/32 via {NETS4[n]}.1 dev "
                 f"{name}", f"route del 203.0.116.{i % 250}/32"],
                [f"addr add {self.addr6(n)} dev {name} nodad"],
                [f"addr del {self.addr6(n)} dev {name}"]))
        return [("burst", *lines)]

    @weight(1)
    def do_prefixes(self):
        n, name = self.some()
        steps = []
        for net in (NETS6[n] + "::", NETS6[n] + ":1::", LOCAL6[n] + "::") * 2:
            steps += [("host", f"-6 addr flush dev {name} scope global"),
                      ("host", f"addr add {net}2/64 dev {name} nodad"),
                      ("host", f"-6 route replace default via fe80::1 dev "
                               f"{name} metric 1"), ("sleep", 0.15)]
        return steps

    @weight(6)
    def do_resolv(self):
        servers = self.rng.sample((
            SERVER4, SERVER6, "198.51.100.53", "127.0.0.1", "127.0.0.53", "::1",
            "192.0.2.1", "100.64.7.1", "fe80::1%eth1", "fe80::1%lan1",
            "fe80::1", "2001:db8:2::53", "0.0.0.0", "224.0.0.1", "1.2.3"),
            self.rng.randint(0, 9))
        text = "".join(f"nameserver {a}\n" for a in servers)
        text += self.rng.choice((
            "", "search a.example b.example\n", "domain c.example\n",
            "search " + " ".join(f"label{i}.example" for i in range(30)) +
            "\n", "search -bad .. ok.example\n", "options edns0\n"))
        how = self.rng.choice(("write", "write", "rename", "rename", "delete",
                               "link", "target", "garbage", "huge", "folder",
                               "pipe", "secret", "absent", "append"))
        return [("resolv", how, text)]

    @weight(1)
    def do_resolv_often(self):
        return [("often", self.rng.choice(("write", "rename")))]


class Taker:
    """Takes steps in a Lab. @low: an MTU was below that of IPv6, so the kernel
    has forgotten the groups of an interface (doc/limits.md)."""

    def __init__(self, lab):
        self.lab, self.low = lab, False
        for name in "/run/a", "/run/b":
            os.makedirs(name, 0o755, exist_ok=True)

    def take(self, step):
        getattr(self, "take_" + step[0])(*step[1:])

    def take_all(self, steps):
        for step in steps:
            self.take(step)

    def take_host(self, line):
        if "mtu" in line:
            self.low |= int(line.split()[-1]) < 1280
        self.lab.host.run("ip", *line.split(), status=None)

    def take_outside(self, line):
        self.lab.outside.run("ip", *line.split(), status=None)

    def take_sleep(self, seconds):
        time.sleep(seconds)

    def take_veth(self, name):
        self.low &= name != "eth0"
        self.lab.host.run(
            "ip", "link", "add", name, "type", "veth", "peer", "name",
            f"o.{name}", "netns", f"/proc/{os.getpid()}/fd/"
            f"{self.lab.outside.fd}", status=None)

    def take_sysctl(self, where, value):
        with contextlib.suppress(OSError), self.lab.host, open(
                f"/proc/sys/net/ipv6/conf/{where}/disable_ipv6", "w") as file:
            file.write(str(value))

    def take_burst(self, *lines):
        path = f"{self.lab.dir}/burst"
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        self.lab.host.run("ip", "-force", "-batch", path, status=None)

    def take_resolv(self, how, text):
        if how == "garbage":
            seed = len(text)
            text = random.Random(seed).randbytes(5000).decode("latin1") + text
        elif how == "huge":
            text = LINES + text + LINES
        getattr(self, "resolv_" + how, self.resolv_write)(text)

    def take_often(self, how):
        for i in range(200):
            self.take_resolv(how, f"nameserver 198.51.100.{i + 1}\n")

    @staticmethod
    def fresh(path):
        """Makes sure that @path is a file that can be written."""
        with contextlib.suppress(FileNotFoundError):
            kind = os.lstat(path).st_mode
            if stat.S_ISDIR(kind):
                os.rmdir(path)
            elif not stat.S_ISREG(kind):
                os.unlink(path)

    def resolv_write(self, text, path=RESOLV, mode="w"):
        self.fresh(path)
        with open(path, mode, encoding="latin1") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def resolv_append(self, text):
        self.resolv_write(text, mode="a")

    def resolv_rename(self, text):
        self.fresh(RESOLV)
        self.resolv_write(text, "/etc/resolv.new")
        os.rename("/etc/resolv.new", RESOLV)

    def resolv_delete(self, _):
        self.fresh(RESOLV)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(RESOLV)

    def resolv_link(self, text):
        """By two links, the second of them relative."""
        self.resolv_delete(text)
        os.makedirs("/run/b/sub", 0o755, exist_ok=True)
        for path in "/run/a/stub", RESOLV:
            self.fresh(path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        os.symlink("../b/sub/stub", "/run/a/stub")
        os.symlink("/run/a/stub", RESOLV)
        self.resolv_write(text, "/run/b/sub/stub")

    def resolv_target(self, text):
        """The target of the links, whether they are there or not."""
        os.makedirs("/run/b/sub", 0o755, exist_ok=True)
        self.resolv_write(text, "/run/b/sub/new")
        os.rename("/run/b/sub/new", "/run/b/sub/stub")

    def resolv_absent(self, _):
        """The folder of the target is gone."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink("/run/b/sub/stub")
        with contextlib.suppress(OSError):
            os.rmdir("/run/b/sub")

    def resolv_folder(self, text):
        self.resolv_delete(text)
        os.mkdir(RESOLV)

    def resolv_pipe(self, text):
        self.resolv_delete(text)
        os.mkfifo(RESOLV)

    def resolv_secret(self, text):
        self.resolv_write(text)
        os.chmod(RESOLV, 0)
