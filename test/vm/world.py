# SPDX-License-Identifier: AGPL-3.0-or-later
"""world.py - Servers for a guest, in the outside world: a name server and a web
server. The programs in test/vm import this file; the demo runs it as a command:

    world.py serve ADDR...  serve on these addresses until killed
    world.py get URL        fetch a page and print it
"""

import contextlib
import http.server
import socket
import struct
import sys
import threading
import urllib.request

NAME, NAME4, NAME6 = "www.example.test", "192.0.2.80", "2001:db8:80::1"
DNS, HTTP = 53, 80


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


#
# Names.
#

def dns_answer(query):
    """Makes an answer to a DNS query (RFC 1035, 4.1): an address of NAME."""
    end = query.index(b"\0", 12) + 5
    kind, = struct.unpack("!H", query[end - 4:end - 2])
    if kind == 1:
        data = socket.inet_pton(socket.AF_INET, NAME4)
    else:
        data = socket.inet_pton(socket.AF_INET6, NAME6)
    return (query[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) +
            query[12:end] + b"\xc0\x0c" +
            struct.pack("!HHIH", kind, 1, 60, len(data)) + data)


def answer_dns(sock):
    """Answers one query."""
    query, peer = sock.recvfrom(4096)
    with contextlib.suppress(ValueError, struct.error):     # not a query
        sock.sendto(dns_answer(query), peer)


def serve_dns(addr):
    sock = socket.socket(family(addr), socket.SOCK_DGRAM)
    sock.bind((addr, DNS))
    while True:
        answer_dns(sock)


#
# Pages.
#

class Page(http.server.BaseHTTPRequestHandler):
    """Serves one page, which shows the client's address."""

    def do_GET(self):
        text = f"Hello {self.client_address[0]}, this is outside.\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def serve_http(addr):
    class Web(http.server.ThreadingHTTPServer):
        address_family = family(addr)
    Web((addr, HTTP), Page).serve_forever()


def serve(*addrs):
    for addr in addrs:
        for target in serve_dns, serve_http:
            threading.Thread(target=target, args=(addr,), daemon=True).start()
    threading.Event().wait()


def get(url):
    with urllib.request.urlopen(url, timeout=10) as page:
        print(page.read().decode(), end="")


if __name__ == "__main__":
    {"serve": serve, "get": get}[sys.argv[1]](*sys.argv[2:])
