# SPDX-License-Identifier: AGPL-3.0-or-later
"""guest.py - A small Linux guest for qemu: Debian's kernel, and an initramfs
with busybox and a few programs of the host, made without privileges.

The guest runs commands that it receives on a virtio serial port (guest/init),
so that a script on the host can control it without any network. The programs in
test/vm import this file; the demo runs it as a command:

    guest.py build          get the kernel, make the initramfs
    guest.py accel          print the accelerator with which a guest boots
    guest.py argv DIR       print qemu's command line, without the network, one
                            argument per line; sockets and logs are in DIR
    guest.py run DIR TEXT   run a line of shell in the guest that was started
                            this way; exit with its status
    guest.py console DIR    connect the terminal to the guest's console, until
                            Ctrl-]

It keeps its files in the folder guest/ of the build folder (B).
"""

import base64
import contextlib
import glob
import gzip
import itertools
import lzma
import os
import platform
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(TOP, os.environ.get("B", "build"), "guest")
ROOT = os.path.join(CACHE, "root")          # packages are unpacked here

MODULES = ["virtio_pci", "virtio_mmio", "virtio_net", "virtio_console",
           "virtio_rng", "af_packet", "ipv6"]
# Drivers of the network cards that qemu emulates for x86
CARDS = ["e1000", "e1000e", "igb", "e100", "ne2k_pci", "pcnet32", "8139cp",
         "8139too", "tulip", "vmxnet3", "xhci_pci", "usbnet", "cdc_ether",
         "rndis_host"]

# Programs for the guest, copied from the host, or else from these packages.
# Without them the guest works, but the demo shows less.
PROGRAMS = {"socat": None, "iperf3": None, "dhclient": "isc-dhcp-client",
            "rdisc6": "ndisc6"}

# Our scripts, and their paths in the guest.
SCRIPTS = {"init": "init", "profile": "etc/profile", "net": "bin/net",
           "lease4": "bin/lease4", "lease6": "bin/lease6"}

# Architecture: (emulator, its machine type, console, Debian's architecture)
MACHINES = {
    "x86_64": ("qemu-system-x86_64", "q35", "ttyS0", "amd64"),
    "aarch64": ("qemu-system-aarch64", "virt", "ttyAMA0", "arm64"),
}
EMULATOR, MACHINE, CONSOLE, DEBIAN = MACHINES.get(
    platform.machine(), (f"qemu-system-{platform.machine()}", "", "ttyS0", ""))

MEMORY = 384                # MiB
BOOT_KVM = 12.0             # s to boot in KVM; usually one or two
BOOT_TCG = 90.0             # s to boot in TCG; about six on an idle host
GRACE = 10.0                # s by which an answer may be late on a busy host


class Missing(Exception):
    """Something is not available on this host; the message says why."""


class Image:
    """What a guest boots: a kernel, from one of Debian's packages, and an
    initramfs with some of its modules."""

    def __init__(self, name, package, modules, root=None, programs=None,
                 files=None, options=""):
        """@root: folder with the unpacked package, if that is not to be
                  fetched
        @programs: more programs: path in the guest -> path on this machine
        @files:    more files: path in the guest -> contents
        @options:  more options for the kernel
        """
        self.options = options
        self.package = package
        self.modules = modules
        self.programs = programs or {}
        self.files = files or {}
        self.root = root or os.path.join(CACHE, f"root{name}")
        self.kernel = os.path.join(CACHE, f"vmlinuz{name}")
        self.initramfs = os.path.join(CACHE, f"initramfs{name}")


# Debian's kernel for clouds boots faster; its usual kernel has all drivers.
CLOUD = Image("", f"linux-image-cloud-{DEBIAN}", MODULES)
FULL = Image("-full", f"linux-image-{DEBIAN}", MODULES + CARDS)


def image_of(suite, root):
    """The kernel for guests that test/vm/newer has unpacked into @root."""
    return Image(f"-{suite}", CLOUD.package, MODULES, root)


#
# Parts of the guest.
#

def quiet(*cmd, **kw):
    """Runs a command. Returns its output, or raises Missing with its last
    line."""
    try:
        p = subprocess.run(cmd, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, **kw)
    except FileNotFoundError:
        raise Missing(f"{cmd[0]} is not installed") from None
    if p.returncode:
        last = (p.stdout.strip().splitlines() or ["no reason given"])[-1]
        raise Missing(f"{' '.join(cmd)}: {last}")
    return p.stdout


def fetch(package, root=ROOT):
    """Gets a Debian package and unpacks it, without installing it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as tmp:
        try:
            quiet("apt-get", "download", package, cwd=tmp)
        except Missing:
            if os.geteuid():
                raise
            # A new machine may have no package lists yet.
            quiet("apt-get", "update")
            quiet("apt-get", "download", package, cwd=tmp)
        for deb in glob.glob(f"{tmp}/*.deb"):
            quiet("dpkg", "-x", deb, root)


def newest(pattern):
    """The file with the highest version that matches a pattern, or None."""
    def version(path):
        return [int(n) for n in re.findall(r"\d+", os.path.basename(path))]
    return max(glob.glob(pattern), key=version, default=None)


def fetch_kernel(image):
    """Gets Debian's kernel; the package of @image depends on its package."""
    depends = quiet("apt-cache", "depends", image.package)
    names = re.findall(r"Depends: (linux-image-\S+)", depends)
    if not names:
        raise Missing(f"{image.package} is not known to apt")
    fetch(names[0], image.root)


def find_kernel(image):
    """Returns a kernel and the folder of its modules."""
    # Debian's packages of Linux 7 have the kernel beside its modules.
    for kernel in glob.glob(f"{image.root}/usr/lib/modules/*/vmlinuz"):
        return kernel, os.path.dirname(kernel)
    if not newest(f"{image.root}/boot/vmlinuz-*"):
        with contextlib.suppress(Missing):
            fetch_kernel(image)
    kernel = newest(f"{image.root}/boot/vmlinuz-*")
    modules = f"{image.root}/lib/modules"
    if not kernel:
        kernel = f"/boot/vmlinuz-{platform.release()}"
        modules = "/lib/modules"
    if not os.access(kernel, os.R_OK):
        raise Missing("no kernel for the guest: neither Debian's package "
                      f"{image.package} nor a readable {kernel}")
    release = os.path.basename(kernel).removeprefix("vmlinuz-")
    return kernel, f"{modules}/{release}"


def find_program(name, package=None):
    """Path of a program of the host, or of @package, which may need to be
    fetched; None if neither has it."""
    def unpacked():
        return [path for folder in ("bin", "sbin", "usr/bin", "usr/sbin")
                for path in glob.glob(f"{ROOT}/{folder}/{name}")]
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path:
        return path
    if package and not unpacked():
        with contextlib.suppress(Missing):
            fetch(package)
    return next(iter(unpacked()), None)


def libraries(program):
    """Shared libraries of a program, and its loader; None: one is missing."""
    out = subprocess.run(["ldd", program], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True).stdout
    if "not found" in out:
        return None
    return re.findall(r"(/\S+) \(0x", out)


#
# Kernel modules.
#

def module_read(path):
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".gz"):
        return gzip.decompress(data)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dc", path], check=True,
                              stdout=subprocess.PIPE).stdout
    return data


def modules_needed(folder, names):
    """Returns (name, contents) of these modules and of those that they depend
    on, which come first. Ignores modules that don't exist: they are built into
    the kernel.
    """
    paths = {}
    for path in glob.glob(f"{folder}/kernel/**/*.ko*", recursive=True):
        name = os.path.basename(path).split(".ko")[0].replace("-", "_")
        paths[name] = path
    order = {}

    def add(name):
        if name in order or name not in paths:
            return
        data = module_read(paths[name])
        found = re.search(rb"(?:^|\0)depends=([^\0]*)\0", data)
        for other in found[1].decode().split(",") if found else ():
            add(other.replace("-", "_"))
        order[name] = data

    for name in names:
        add(name)
    return list(order.items())


#
# The initramfs: a cpio archive in the format "newc", which the kernel's
# Documentation/driver-api/early-userspace/buffer-format.rst describes.
#

class Cpio:
    """An archive of files that belong to root."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.inode = 0
        self.made = set()

    def entry(self, name, mode, data=b""):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(encoded), 0)
        self.put(b"070701" + b"".join(b"%08X" % f for f in fields) + encoded)
        self.put(data)

    def put(self, data):
        """Writes data, padded to a multiple of 4 bytes."""
        self.file.write(data + b"\0" * (-len(data) % 4))

    def add(self, name, data, mode=0o755):
        """Adds a file, and its parent folders."""
        name = name.lstrip("/")
        if name in self.made:
            return
        folders = name.split("/")[:-1]
        for folder in itertools.accumulate(folders, "{}/{}".format):
            if folder not in self.made:
                self.entry(folder, 0o40755)
                self.made.add(folder)
        self.entry(name, 0o100000 | mode, data)
        self.made.add(name)

    def add_copy(self, name, path):
        with open(path, "rb") as f:
            self.add(name, f.read())

    def add_program(self, name, path):
        """Adds a program and its libraries, unless one of them is missing."""
        libs = libraries(path) if path else None
        if libs is None:
            return
        self.add_copy(name, path)
        for lib in libs:
            self.add_copy(lib, lib)

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.file.close()


def build(image=CLOUD):
    """Makes the kernel and the initramfs. May raise Missing."""
    os.makedirs(image.root, exist_ok=True)
    busybox = find_program("busybox", "busybox-static")
    if not busybox or libraries(busybox):
        raise Missing("a static busybox (Debian: busybox-static)")
    kernel, modules = find_kernel(image)

    fd, path = tempfile.mkstemp(dir=CACHE)
    os.close(fd)
    cpio = Cpio(path)
    cpio.entry("dev", 0o40755)
    cpio.entry("dev/console", 0o20600)
    cpio.add_copy("bin/busybox", busybox)
    for name, where in SCRIPTS.items():
        cpio.add_copy(where, os.path.join(HERE, "guest", name))
    needed = modules_needed(modules, image.modules)
    for name, data in needed:
        cpio.add(f"modules/{name}", data)
    cpio.add("modules/order",
             "".join(f"{name}\n" for name, _ in needed).encode())
    for name, package in PROGRAMS.items():
        cpio.add_program(f"bin/{name}", find_program(name, package))
    for name, program in image.programs.items():
        cpio.add_program(name, program)
    for name, data in image.files.items():
        cpio.add(name, data)
    cpio.close()

    # Replace the old files atomically: other programs may be using them, or
    # making new ones, at the same time.
    os.chmod(path, 0o644)
    os.replace(path, image.initramfs)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.symlink(kernel, path)
    os.replace(path, image.kernel)


#
# qemu.
#

def argv(folder, accel, image=CLOUD):
    """qemu's command line without the network; its sockets and logs are in
    @folder."""
    cpu = "host" if accel == "kvm" else "max"
    line = f"console={CONSOLE} loglevel=4 panic=-1 net.ifnames=0 " \
           f"random.trust_cpu=on mitigations=off {image.options}"
    return [
        EMULATOR, "-machine", f"{MACHINE},accel={accel}", "-cpu", cpu,
        "-m", str(MEMORY), "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-kernel", image.kernel,
        "-initrd", image.initramfs,
        "-append", line,
        "-chardev", f"socket,id=console,path={folder}/console,server=on,"
                    f"wait=off,logfile={folder}/console.log",
        "-serial", "chardev:console",
        "-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off",
        "-device", "virtio-serial-pci",
        "-device", "virtserialport,chardev=agent,name=agent",
    ]


def connect(path, timeout=10.0, alive=lambda: True):
    """Connects to a socket of qemu; waits until it exists, while @alive()."""
    deadline = time.monotonic() + timeout
    while True:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            return s
        except (FileNotFoundError, ConnectionRefusedError):
            s.close()
            if not alive() or time.monotonic() > deadline:
                raise ConnectionError(f"no qemu at {path}") from None
            time.sleep(0.05)


class Agent:
    """Runs commands in the guest, one at a time."""

    def __init__(self, sock):
        self.sock = sock
        self.pid = os.getpid()
        self.count = 0

    def receive(self, size, deadline):
        """Receives exactly @size bytes, or a line if @size is None."""
        data = b""
        while len(data) < size if size is not None else data[-1:] != b"\n":
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise TimeoutError("the guest does not answer")
            part = self.sock.recv(1 if size is None else size - len(data))
            if not part:
                raise ConnectionError("qemu is gone")
            data += part
        return data

    def run(self, script, timeout=60.0):
        """Runs a script with sh. Returns its exit status and output.

        The guest itself ends it after @timeout seconds.
        """
        self.count += 1
        tag = f"{self.pid}.{self.count}"
        deadline = time.monotonic() + timeout + GRACE
        text = base64.b64encode(script.encode()).decode()
        self.sock.sendall(f"{tag} {timeout:.0f} {text}\n".encode())
        while True:
            line = self.receive(None, deadline).decode().split()
            output = self.receive(int(line[2]), deadline)
            # Ignore late answers to earlier commands that timed out.
            if line[0] == tag:
                return int(line[1]), output.decode(errors="replace")

    def close(self):
        self.sock.close()


class Guest:
    """A running guest."""

    def __init__(self, accel, spawn, network, wrap=(), image=CLOUD):
        """Starts a guest, and waits until it has booted.

        @accel:   "kvm" or "tcg"
        @spawn:   function that starts a program and returns its Popen
        @network: qemu's arguments for the network
        @wrap:    words in front of qemu's command line, such as qrap
        @image:   kernel and initramfs to boot
        """
        self.accel = accel
        self.folder = tempfile.mkdtemp(prefix="passt-vm-")
        os.chmod(self.folder, 0o777)    # qemu may have another user
        self.log = open(f"{self.folder}/qemu.log", "w+")
        self.process = spawn(*wrap, *argv(self.folder, accel, image),
                             *network, stdout=self.log, stderr=self.log)
        try:
            self.wait()
        except OSError as e:
            why = f"{e}: {self.messages()}"
            self.kill()
            raise RuntimeError(f"the guest did not boot: {why}") from None

    def wait(self):
        """Waits until the guest has booted."""
        boot = BOOT_KVM if self.accel == "kvm" else BOOT_TCG
        self.agent = Agent(connect(
            f"{self.folder}/agent",
            alive=lambda: self.process.poll() is None))
        self.agent.run("true", boot - GRACE)

    def restart(self):
        """Waits until a guest that is about to boot again has done so."""
        self.agent.close()
        self.wait()

    def messages(self):
        """The last messages of qemu and of the guest's kernel."""
        text = ""
        for name in "qemu.log", "console.log":
            with contextlib.suppress(OSError), \
                    open(f"{self.folder}/{name}", errors="replace") as f:
                text += f.read()[-500:]
        return " ".join(text.split())

    def run(self, script, timeout=60.0):
        """Runs a script, which must succeed. Returns its output."""
        status, output = self.agent.run(script, timeout)
        if status:
            raise AssertionError(f"guest: {script}: exit {status}: {output}")
        return output

    def kill(self):
        """Kills the guest, like a power failure."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(AttributeError):
            self.agent.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def accelerator():
    """Returns "kvm" if a guest boots in KVM, otherwise "tcg".

    On some machines with /dev/kvm, ordinary guests hang. So this tries to boot
    a guest, once per boot of the host.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    known = os.path.join(CACHE, "accel")
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip()
    with contextlib.suppress(OSError), open(known) as f:
        was, accel = f.read().split()
        if was == boot:
            return accel
    try:
        Guest("kvm", lambda *cmd, **kw: subprocess.Popen(cmd, **kw),
              ["-nic", "none"]).kill()
        accel = "kvm"
    except RuntimeError:
        accel = "tcg"
    with open(known, "w") as f:
        f.write(f"{boot} {accel}\n")
    return accel


#
# Commands of the demo.
#

def console(folder):
    """Connects the terminal to the guest's console, until Ctrl-]."""
    s = connect(f"{folder}/console")
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal) if os.isatty(terminal) else None
    try:
        if before:
            tty.setraw(terminal)
        s.sendall(b"\n")
        while True:
            readable, _, _ = select.select([terminal, s], [], [])
            if terminal in readable:
                data = os.read(terminal, 4096)
                if not data or b"\x1d" in data:
                    return
                s.sendall(data)
            if s in readable:
                data = s.recv(4096)
                if not data:
                    return
                os.write(sys.stdout.fileno(), data)
    finally:
        if before:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def main(command, *args):
    if command == "build":
        build()
    elif command == "accel":
        print(accelerator())
    elif command == "argv":
        print("\n".join(argv(args[0], accelerator())))
    elif command == "console":
        console(args[0])
    elif command == "run":
        status, output = Agent(connect(f"{args[0]}/agent")).run(args[1], 120)
        print(output, end="")
        return status
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (Missing, OSError) as e:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {e}")
