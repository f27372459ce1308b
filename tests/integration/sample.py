# SPDX-License-Identifier: MIT OR GPL-2.0
"""The sample site as its folder has it: what a server should send of it, found out without the packer.

KHTTPD_SITE is what tests/site/make-site made: www/ is the default host, hosts/NAME/ are the others.
"""

import ctypes
import os
import re
import zlib
from urllib.parse import quote_from_bytes

FOLDER = os.environ.get("KHTTPD_SITE", "")
CODINGS = ("gzip", "br", "zstd")

# --- decoders that the packer has no part in ---


def library(name):
    return ctypes.CDLL(name)


def unbrotli(data, size):
    out, n = ctypes.create_string_buffer(size + 1), ctypes.c_size_t(size + 1)
    done = library("libbrotlidec.so.1").BrotliDecoderDecompress(
        ctypes.c_size_t(len(data)), data, ctypes.byref(n), out)
    assert done == 1, "not brotli"
    return out.raw[:n.value]


def unzstd(data, size):
    out, decompress = ctypes.create_string_buffer(size + 1), library("libzstd.so.1").ZSTD_decompress
    decompress.restype = ctypes.c_size_t
    n = decompress(out, ctypes.c_size_t(size + 1), data, ctypes.c_size_t(len(data)))
    assert n <= size + 1, "not zstd"
    return out.raw[:n]


def ungzip(data, size):
    stream = zlib.decompressobj(31)
    out = stream.decompress(data, size + 1)
    assert stream.eof and not stream.unused_data, "not one whole gzip member"
    return out


def decode(coding, data, size):
    """What data is in that coding; at most size + 1 bytes, so that more than size is seen."""
    return {None: lambda d, n: d, "gzip": ungzip, "br": unbrotli, "zstd": unzstd}[coding](data, size)


# --- paths and rules ---


def url(path):
    """A path, bytes, as it stands in a request."""
    return quote_from_bytes(path, safe="/")


def pattern(text):
    """Of a rule: ':name' is one segment, '*' anything."""
    parts = re.split(rb"(:[A-Za-z0-9_]+|\*)", text)
    return re.compile(b"".join(
        b"(?P<splat>.*)" if p == b"*" else b"(?P<%s>[^/]+)" % p[1:] if p[:1] == b":" and i % 2 else re.escape(p)
        for i, p in enumerate(parts)), re.S)


def fill(target, captures, encode):
    """A target with its placeholders filled in; encode(capture, text before it) gives what to put there."""
    out = b""
    for i, part in enumerate(re.split(rb":([A-Za-z0-9_]+)", target)):
        out += encode(captures[part.decode()], out) if i % 2 else part
    return out


def encode_in_location(value, before):
    in_path = b"?" not in before and b"#" not in before
    return quote_from_bytes(value, safe="!$&'()*+,;=:@/" if in_path else "").encode()


class Redirect:
    """A line of _redirects."""

    def __init__(self, line):
        words = line.split()
        self.source, self.target = words[0], words[1]
        status = words[2].decode() if len(words) > 2 else "301"
        self.forced, self.status = status.endswith("!"), int(status.rstrip("!"))

    def match(self, path):
        return pattern(self.source).fullmatch(path)

    def location(self, path, query=None):
        where = fill(self.target, self.match(path).groupdict(), encode_in_location)
        if query is not None and b"?" not in where:
            front, sharp, fragment = where.partition(b"#")
            where = front + b"?" + query + sharp + fragment
        return where.decode()

    def page(self, path):
        return fill(self.target, self.match(path).groupdict(), lambda value, before: value)


def lines_of(name):
    try:
        with open(name, "rb") as f:
            return [line.rstrip() for line in f if line.strip() and not line.lstrip().startswith(b"#")]
    except FileNotFoundError:
        return []


def read_headers(name):
    rules = []
    for line in lines_of(name):
        if line[:1] not in b" \t":
            rules.append((pattern(line), []))
        else:
            rules[-1][1].append(line.strip().decode())
    return rules


# --- media types ---


def read_types():
    types = {}
    with open("/etc/mime.types", encoding="utf-8") as f:
        for line in f:
            words = line.partition("#")[0].split()
            for extension in words[1:]:
                types.setdefault(extension.lower(), words[0])
    return types


def is_text(body):
    try:
        return not re.search("[\0-\x08\x0b\x0e-\x1f\x7f]", body.decode("utf-8"))
    except UnicodeDecodeError:
        return False


# --- hosts ---


class File:
    """A file with what the folder says of it."""

    def __init__(self, name, types):
        with open(name, "rb") as f:
            self.body = f.read()
        self.modified = int(os.stat(name).st_mtime)
        last = os.path.basename(name)
        self.type = None
        for i in range(1, len(last)):  # the longest extension first
            if last[i:i + 1] == b"." and not self.type:
                self.type = types.get(last[i + 1:].decode("latin-1").lower())
        if not self.type:
            self.type = "text/plain" if is_text(self.body) else "application/octet-stream"
        if self.type.startswith("text/") and is_text(self.body):
            self.type += "; charset=utf-8"
        self.gzip = None  # the bytes of a coding that lies beside it


class Host:
    """The pages of a host: path as bytes -> File; folders and clean URLs included."""

    def __init__(self, name, folder):
        self.name, self.folder = name, os.fsencode(folder)
        types = read_types()
        self.files, self.hidden = {}, []
        for top, folders, files in os.walk(self.folder):
            folders.sort()
            for file in sorted(files):
                full = os.path.join(top, file)
                path = b"/" + os.path.relpath(full, self.folder)
                if re.search(rb"/\.(?!well-known/)", path) or path in (b"/_redirects", b"/_headers"):
                    self.hidden.append(path)
                else:
                    self.files[path] = File(full, types)
        for path in [p for p in self.files if p.endswith(b".gz")]:
            of = self.files.get(path[:-3])
            if of and zlib.decompress(self.files[path].body, 31) == of.body:
                of.gzip = self.files.pop(path).body
                self.hidden.append(path)
        self.redirects = [Redirect(line) for line in lines_of(self.folder + b"/_redirects")]
        self.headers = read_headers(self.folder + b"/_headers")
        self.pages, self.folders = {}, []
        for path, file in self.files.items():
            self.pages[path] = file
            if path.endswith(b"/index.html"):
                self.pages[path[:-10]] = file
                if path != b"/index.html":
                    self.folders.append(path[:-11])
            elif path.endswith(b".html"):
                self.pages[path[:-5]] = file
        for path in list(self.pages):
            rule = next((r for r in self.redirects if r.match(path)), None)
            if rule and rule.forced:
                del self.pages[path]

    def fields(self, path):
        """The fields that the rules give a page, Content-Type among them."""
        fields = {"content-type": self.pages[path].type}
        for match, lines in self.headers:
            found = match.fullmatch(path)
            for line in lines if found else ():
                if line.startswith("!"):
                    fields.pop(line[1:].strip().lower(), None)
                    continue
                name, value = (s.strip() for s in line.split(":", 1))
                name = name.lower()
                value = fill(value.encode(), found.groupdict(), lambda v, before: v).decode()
                fields[name] = value if name not in fields or name == "content-type" else f"{fields[name]}, {value}"
        return fields


def read_hosts():
    hosts = {"": Host("", os.path.join(FOLDER, "www"))}
    for name in sorted(os.listdir(os.path.join(FOLDER, "hosts"))):
        hosts[name] = Host(name, os.path.join(FOLDER, "hosts", name))
    return hosts
