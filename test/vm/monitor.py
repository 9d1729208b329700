# SPDX-License-Identifier: AGPL-3.0-or-later
"""monitor.py - Sends commands to qemu's monitor, over QMP."""

import json
import socket


class Monitor:
    """A connection to the socket at @path, which takes commands as calls."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.sock.settimeout(10)
        self.file = self.sock.makefile("rw")
        self.file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({"execute": command,
                                    "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "event" not in answer:
                break
        if "return" not in answer:
            raise AssertionError(f"{command}: {answer}")

    def close(self):
        self.file.close()
        self.sock.close()
