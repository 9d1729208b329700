# SPDX-License-Identifier: AGPL-3.0-or-later
"""texts.py - Inputs that are lines of text: what people write on command lines
and in resolv.conf. seeds.py writes them to files."""

RULES = """
t22
t22,80-90
t2022:22
t100-110:200-210
t80:192.0.2.5/8080
t8080:[2001:db8::5]/80
t192.0.2.1/22,~23
t[2001:db8::1]/22
t::1/22:2001:db8::5
t127.0.0.1%lo/22
tfe80::1%eth0/22
t%eth0/22
t*%eth0/22,25
tall
tall:192.0.2.5
t~80,~100-200
t0.0.0.0/all,~22
t::/22
tnone
tauto
t22,22
t0
t65536
t90-80
t22:23-24
t +22
t,
t22:192.0.2.5
t224.0.0.1/22
t22:224.0.0.1
t22:192.0.2.5/
t22:[::1]/22
t1:2:3
tfe80::1/22
t%/22
t%toolonganinterface/22
t[::1/22
""".split("\n")[1:-1]

LISTS = ("t22\nu53", "t22\nt22", "tall\nt22", "t22\ntnone", "tnone\nt22",
         "t0.0.0.0/22\nt127.0.0.1/22", "t::/22\nt0.0.0.0/22",
         "t22:192.0.2.5\nt[::1]/22", "tall\ntall\nuall", "t%a/22\nt%b/22")

RESOLV = """
nameserver 192.0.2.53
nameserver 2001:db8::53
nameserver fe80::1%a
nameserver fe80::1%2
nameserver fe80::1%none
nameserver 127.0.0.53
nameserver ::1
nameserver 0.0.0.0
nameserver 224.0.0.1
nameserver 192.0.2.53%a
nameserver 192.0.2.999
nameserver
search example.com lab.example.com.
search a.b c.d -e f- _x._y
domain example.org
options edns0 trust-ad
# nameserver 192.0.2.1
; search example.net
\tnameserver\t192.0.2.1\t# x
nameserver 192.0.2.1\r
search
""".split("\n")[1:-1]

CONF = """
-f -1 -q
-d --trace
--mtu 1500 --lease-time infinite
-m 20 -4
-m 0 -6
--lease-time 20
-a 192.0.2.2/24 -g 192.0.2.1
-a 2001:db8::2/64 -a 192.0.2.2 -n 24
-a 192.0.2.2 -n 255.255.255.0
-a 192.0.2.2 -g 192.0.2.2
-M 02:00:00:00:00:01
-M ff:ff:ff:ff:ff:ff
-i a
-i nothing
-D 192.0.2.53 -D 2001:db8::53
-D none -D 192.0.2.53
-S example.com
-S none
-H guest --fqdn guest.example.com
--no-dhcp --no-ndp --no-ra --no-dhcpv6
--no-tcp -t 22
--no-udp -u none
--no-icmp
-o 192.0.2.1 -o 2001:db8::1
--outbound-if4 a --outbound-if6 b
--map-host-loopback 192.0.2.9 --no-map-gw
--map-host-loopback none
--map-guest-addr 192.0.2.8
--no-host-access --map-guest-addr 192.0.2.8
--dns-forward 192.0.2.53 --dns-host 9.9.9.9 --dns-host 2620:fe::fe
--multicast --freebind
-t 22 -t 80:8080 -u 53
--runas nobody
--runas nobody:nogroup
--runas 65534:1
--runas root
--fd 3
--fd 4
--fd 5
--fd 6 --fd 7
--fd 2
--max-flows 64
--max-flows 1
-a fe80::5
-a 224.0.0.1/4
-s /tmp/passt.socket -P /tmp/pid -l /tmp/log -p /tmp/pcap
--log-size 4096 --stats 5
--vhost-user --socket-path x
--print-capabilities
--help
--version
--repair-path none
-T 22
--netns x
--config-net
--no-d
--out=a
--=x
--quiet=yes
--mtu
-fx
bar
-4 -6
""".split("\n")[1:-1]

QEMU = (
    "-device virtio-net-pci,netdev=n0,mac=02:00:00:00:00:01,id=net0,"
    "bus=pci.0,addr=0x3\n-netdev user,id=n0",
    "-net nic,model=virtio,macaddr=02:00:00:00:00:01\n-net user",
    "-nic user,model=e1000\n-machine pc",
    "-M q35\n-device pcie-root-port,id=p1,bus=pcie.0\n-device "
    "virtio-net-pci-non-transitional,netdev=n0,bus=p1,addr=0x0",
    '-device {"driver":"virtio-net-pci","netdev":"n0","id":"net0","mac":'
    '"02:00:00:00:00:01","bootindex":1,"multifunction":true,"addr":"0x2.0x1"}'
    '\n-netdev {"type":"user","id":"n0"}',
    '-device {"driver":"virtio-blk","x":[1,{"y":"}"}],"addr":"0x4"}',
    '-device {"driver" : "a\\"b" , "n":null}\n-device {"bad"',
    "-machine s390-ccw-virtio\n-device virtio-net-ccw,netdev=n0,"
    "devno=fe.0.0001",
    "-machine s390-ccw-virtio\n-device virtio-blk-ccw,devno=fe.0.ffff",
    "-machine virt\n-device virtio-net-device,netdev=a,,b",
    '-device {"driver":"virtio-net-=ci","netdev":"n0"}',
    "-machine type=none", "-machine none", "-device help", "-h", "--version",
    "-device virtio-net-pci,help", "-append\n-net user\n-name\nx,y",
    "-M pc-i440fx-7.2\n-device e1000,netdev=n0,mac=1,mac=2",
    "-device e1000" + ",a" * 70, "-netdev\n", "-M microvm\n-nic none", "vm.img",
)


def texts(target):
    """Yields the inputs of a target."""
    if target == "rule":
        many = ",".join(str(port) for port in range(1, 205, 2))
        return [*RULES, *LISTS, "t!22\nt!1,3,5\nu~22\nu!~22", "t" + many]
    if target == "resolv":
        return [*RESOLV, "\n".join(RESOLV), "search " + " ".join(
            f"{'x' * n}.example" for n in range(1, 64, 3)),
            "nameserver 192.0.2.1\n" * 9, "search " + "a" * 1030 +
            "\nsearch b"]
    if target == "conf":
        return ["\n".join(line.split()) for line in CONF]
    return ["\n".join(" ".join(line.split()).replace(" ", "\n", 1)
                      for line in text.split("\n")) for text in QEMU]
