# SPDX-License-Identifier: MIT OR GPL-2.0
"""A bare HTTP/1.1 client on one socket, with a response parser that forgives nothing."""

import os
import re
import socket
import struct
import time
from email.utils import parsedate_to_datetime

HOST = os.environ.get("KHTTPD_HOST", "127.0.0.1")
PORT = int(os.environ.get("KHTTPD_PORT", "8081"))
ENGINE = os.environ.get("KHTTPD_ENGINE", "module")

# No test waits longer than this for one answer; emulated guests are slow, so it is generous.
PATIENCE = float(os.environ.get("KHTTPD_PATIENCE", "20"))
MAX_HEAD = 8192

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([ -~]+)")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([!-~]|[!-~][\t -~]*[!-~])")
IMF_FIXDATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d "
                         r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
                         r"\d{4} [0-2]\d:[0-5]\d:[0-6]\d GMT")


class Response:
    """One parsed response; field names are lower case and occur once."""

    def __init__(self, status, fields, body=b""):
        self.status = status
        self.fields = fields
        self.body = body

    def __getitem__(self, name):
        return self.fields[name]

    def get(self, name):
        return self.fields.get(name)

    @property
    def closes(self):
        return self.fields.get("connection") == "close"

    @property
    def date(self):
        return parsedate_to_datetime(self.fields["date"]).timestamp()

    def __repr__(self):
        return f"<{self.status} {self.fields} +{len(self.body)}>"


def request(method="GET", target="/", *lines, version="HTTP/1.1", host="test", body=b""):
    """The bytes of one request; `lines` are whole field lines."""
    head = [f"{method} {target} {version}"]
    if host is not None:
        head.append(f"Host: {host}")
    head += lines
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def parse_head(data):
    """A response head without its empty line -> Response; asserts its grammar and fields."""
    lines = data.split(b"\r\n")
    match = STATUS_LINE.fullmatch(lines[0])
    assert match, f"bad status line {lines[0]!r}"
    status = int(match[1])
    fields = {}
    for line in lines[1:]:
        match = FIELD_LINE.fullmatch(line)
        assert match, f"bad field line {line!r}"
        name = match[1].decode().lower()
        assert name not in fields, f"{name} occurs twice"
        fields[name] = match[2].decode()
    if status >= 200:
        assert IMF_FIXDATE.fullmatch(fields.get("date", "")), f"Date is {fields.get('date')!r}"
        assert fields.get("server") == "khttpd"
    assert "transfer-encoding" not in fields
    if status < 200 or status in (204, 304):
        assert "content-length" not in fields, f"{status} with Content-Length"
    else:
        assert re.fullmatch(r"\d+", fields.get("content-length", "")), \
            f"Content-Length is {fields.get('content-length')!r}"
    assert fields.get("connection") in (None, "close", "keep-alive")
    return Response(status, fields)


class Client:
    """One connection. Use as a context manager: a kept connection is checked at the end
    for bytes that nobody asked for."""

    def __init__(self, host=None, port=None, source=None, rcvbuf=None):
        host = host or HOST
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.buf = bytearray()
        self.eof = False
        try:
            self.sock.settimeout(PATIENCE)
            if rcvbuf:  # before connect, so that the window never grows beyond it
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                self.sock.bind((source, 0))
            self.sock.connect((host, port or PORT))
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None and not self.eof and self.sock.fileno() >= 0:
                self.finish()
        finally:
            self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_bytewise(self, data, pause=0.0005):
        """One segment per byte, with time for the server to see each."""
        for i in range(len(data)):
            self.sock.sendall(data[i:i + 1])
            time.sleep(pause)

    def _more(self, size=65536):
        data = self.sock.recv(size)
        if not data:
            self.eof = True
            return False
        self.buf += data
        return True

    def response(self, method="GET"):
        """Read exactly one response to a request with that method."""
        while (end := self.buf.find(b"\r\n\r\n")) < 0:
            assert len(self.buf) <= MAX_HEAD, "endless response head"
            assert self._more(), f"EOF in a response head: {bytes(self.buf)!r}"
        reply = parse_head(bytes(self.buf[:end]))
        del self.buf[:end + 4]
        if method != "HEAD" and "content-length" in reply.fields:
            reply.body = self.read(int(reply["content-length"]))
        return reply

    def read(self, size):
        while len(self.buf) < size:
            assert self._more(1 << 20 if size > 1 << 20 else 65536), \
                f"EOF with {size - len(self.buf)} of {size} bytes missing"
        data = bytes(self.buf[:size])
        del self.buf[:size]
        return data

    def ask(self, method="GET", target="/", *lines, **more):
        """Send one request, read its response."""
        self.send(request(method, target, *lines, **more))
        return self.response(method)

    def expect_eof(self):
        """The server's FIN comes next: no byte before it, and no RST (which recv would raise)."""
        while self._more():
            pass
        assert not self.buf, f"unexpected bytes {bytes(self.buf[:200])!r}"

    def finish(self):
        """Half-close; everything that was asked for must have been read."""
        self.sock.shutdown(socket.SHUT_WR)
        self.expect_eof()

    def is_open(self):
        """No FIN, RST or byte has arrived (without waiting)."""
        if self.eof or self.buf:
            return False
        self.sock.setblocking(False)
        try:
            data = self.sock.recv(1, socket.MSG_PEEK)
            assert not data, f"unexpected byte {data!r}"
            return False
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        finally:
            self.sock.settimeout(PATIENCE)

    def reset(self):
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def get(target="/", *lines, method="GET", **where):
    """One request on a connection of its own."""
    with Client(**where) as c:
        return c.ask(method, target, *lines)


def server_sockets():
    """States of the server's own connections as /proc/net/tcp* shows them; orphans left out."""
    states = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as f:
                rows = f.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for row in rows:
            col = row.split()
            local = int(col[1].rpartition(":")[2], 16)
            # listeners, TIME_WAIT and what no socket belongs to (inode 0) cost no connection
            if local == PORT and col[3] not in ("0A", "06", "03") and col[9] != "0":
                states.append(col[3])
    return states
