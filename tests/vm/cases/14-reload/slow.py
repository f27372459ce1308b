# SPDX-License-Identifier: MIT OR GPL-2.0
"""Readers that take their time: for each line of input one more asks for /large, again and again, and says "asked";
all read a few bytes now and then, until input ends. Then: how many of them were cut."""

import select
import socket
import sys

REQUEST = b"GET /large HTTP/1.1\r\nHost: a.example\r\n\r\n"


readers, cut = set(), set()


def read(sock, times):
    """Few bytes. A reset shows behind those that came before it; the buffer has room for about 2000."""
    try:
        for _ in range(times):
            sock.recv(100, socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    except ConnectionResetError:
        cut.add(sock)


while True:
    if select.select([sys.stdin], [], [], 0.2)[0]:
        if not sys.stdin.buffer.raw.read(1):
            break
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.connect(("127.0.0.1", int(sys.argv[1])))
        sock.sendall(REQUEST * 40)
        sock.recv(1)
        readers.add(sock)
        print("asked", flush=True)
    for sock in readers - cut:
        read(sock, 1)
for sock in readers - cut:
    read(sock, 100)
print(f"cut={len(cut)} of {len(readers)}")
