# SPDX-License-Identifier: MIT OR GPL-2.0
"""Makes allocations of chosen tasks fail, and looks at what comes of it. Arguments, the steps:

  load=STRIDE      the n-th allocation of insmod fails, n = 1, 2, ...; of what the kernel allocates before it calls
                   us each STRIDE-th only
  unload           the same with rmmod
  params           the same with writing and reading parameters
  accept           the n-th allocation of the accept thread fails
  site=TIMES       the n-th allocation of each netlink command fails; and TIMES swaps of the site while any may fail
  fragmented       there are only single pages for a site's image, or only some larger ones
  request=STEP     in accept threads and workers the first allocation after so many bytes, or pages, fails
  reload=TIMES     insmod, requests and rmmod while any allocation of theirs may fail
  storm=SECONDS    a crowd of clients, and rmmod, while any allocation of accept threads and workers may fail

A client's own allocations never fail. It gets what it asked for, or 503, or the end of the connection.
"""

import collections
import contextlib
import ctypes
import errno
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

KT = os.environ.get("KT", "/kt")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../integration"))
from client import PORT, parse_head, request  # noqa: E402

LARGE = 300123
PATIENCE = 60
SYS_DELETE_MODULE, SYS_FINIT_MODULE = 176, 313
# No time-out comes to the rescue of a connection that is forgotten
LOAD = f"port={PORT} linger_timeout_ms=500 header_timeout_ms=600000 debug_large={LARGE}"
libc = ctypes.CDLL(None, use_errno=True)


class Wrong(Exception):
    pass


def note(text):
    print("#", text, flush=True)


def get(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def put(path, value):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, str(value).encode())
    finally:
        os.close(fd)


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise Wrong(what)
        time.sleep(0.02)


# --- failing -----------------------------------------------------------------------------------------------

class Faults:
    """failslab, whose unit of space is a byte, or fail_page_alloc, a page. Only tasks that are marked fail."""

    def __init__(self, name):
        self.name = name
        self.dir = f"/sys/kernel/debug/{name}"

    def arm(self, probability, times=-1, space=0, interval=1):
        """Of each INTERVAL allocations after so much space, one fails with so many per cent; so many at most."""
        put(f"{self.dir}/interval", interval)
        put(f"{self.dir}/times", times)
        put(f"{self.dir}/space", space)
        put(f"{self.dir}/probability", probability)

    def disarm(self):
        put(f"{self.dir}/probability", 0)

    def fired(self):
        return get(f"{self.dir}/times") == "0"


SLAB, PAGES = Faults("failslab"), Faults("fail_page_alloc")

# Kept open, because opening a file allocates
own_nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
own_mark = os.open("/proc/thread-self/make-it-fail", os.O_RDWR)


def with_nth(n, call):
    """call() with its n-th allocation failing: the result, and how many more it would have taken (0: it failed)"""
    os.pwrite(own_nth, b"%d" % n, 0)
    result = call()
    left = int(os.pread(own_nth, 20, 0))
    os.pwrite(own_nth, b"0", 0)
    return result, left


@contextlib.contextmanager
def marked():
    os.pwrite(own_mark, b"1", 0)
    try:
        yield
    finally:
        os.pwrite(own_mark, b"0", 0)


names, marks = {}, set()


def tasks(pattern):
    """pids of the tasks with such a name. Asked once, for it is slow; a new kthread is still called kthreadd."""
    pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    for pid in names.keys() - set(pids):
        del names[pid]
        marks.discard(pid)
    for pid in pids:
        if names.get(pid, "kthreadd") == "kthreadd":
            with contextlib.suppress(OSError):
                names[pid] = get(f"/proc/{pid}/comm")
    return [pid for pid, name in names.items() if re.match(pattern, name)]


def mark_server():
    """Accept threads and the workers of each CPU; more of these come and go."""
    for pid in tasks(r"khttpd/|kworker/\d+:\d+(?!H)"):
        if pid not in marks:
            with contextlib.suppress(OSError):
                put(f"/proc/{pid}/make-it-fail", 1)
                marks.add(pid)


# --- the module --------------------------------------------------------------------------------------------

ko = os.open(f"{KT}/khttpd.ko", os.O_RDONLY)


def syscall(*args):
    """0 or the error's name"""
    return 0 if libc.syscall(*args) == 0 else errno.errorcode[ctypes.get_errno()]


def insmod(params=LOAD):
    return syscall(SYS_FINIT_MODULE, ko, params.encode(), 0)


def rmmod():
    return syscall(SYS_DELETE_MODULE, b"khttpd", os.O_NONBLOCK)


def must(result, what):
    if result:
        raise Wrong(f"{what}: {result}")


def load(params=LOAD):
    must(insmod(params), f"insmod {params}")


Socket = collections.namedtuple("Socket", "peer state timer inode")


def sockets():
    """The server's sockets; those that nobody holds have inode 0"""
    for table in ("tcp", "tcp6"):
        for row in get(f"/proc/thread-self/net/{table}").splitlines()[1:]:
            col = row.split()
            if int(col[1].rpartition(":")[2], 16) == PORT:
                yield Socket(int(col[2].rpartition(":")[2], 16), col[3], col[5][:2], col[9])


def tcp_sockets():
    """Of all namespaces, also those that are bound only; not those that nobody holds any more"""
    numbers = re.search(r"^TCP: .* orphan (\d+) .* alloc (\d+)", get("/proc/thread-self/net/sockstat"), re.M)
    return int(numbers[2]) - int(numbers[1])


sockets_before = tcp_sockets()


def nothing_left(what):
    wait_until(lambda: tcp_sockets() == sockets_before, f"{what}: sockets are left")
    left = [str(s) for s in sockets() if s.inode != "0"]
    left += [f"task {pid}" for pid in tasks("khttpd")]
    if os.path.exists("/sys/module/khttpd"):
        left.append("the module")
    left += [line for line in get("/proc/slabinfo").splitlines() if line.startswith("khttpd")]
    left += [line for line in get("/proc/vmallocinfo").splitlines() if "[khttpd]" in line]
    if left:
        raise Wrong(f"{what}: left behind: {left}")


def connections():
    """struct khttpd_conn that exist; those that wait to be given back to the allocator do not count."""
    put("/sys/kernel/slab/khttpd_conn/shrink", 1)
    return int(get("/sys/kernel/slab/khttpd_conn/objects").split()[0])


# States of a socket that waits for the acknowledgement of its FIN
FIN_WAIT1, LAST_ACK, CLOSING = "04", "09", "0B"
TIME_WAIT = "06"
NO_TIMER = "00"


# --- the netlink family ------------------------------------------------------------------------------------

NETLINK_GENERIC = GENL_ID_CTRL = 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
STATE_GET, STATS_GET, CONN_GET, SITE_LOAD, SITE_DROP = range(1, 6)  # enum khttpd_cmd
A_FD, A_IMAGES = 2, 11  # enum khttpd_attr
UNKNOWN = "?"  # there was no memory to tell the result


class Control:
    """One command on a socket of its own, which must be made while nothing fails."""

    def __init__(self, cmd, family=None, attr=b"", flags=NLM_F_ACK):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self.sock.bind((0, 0))
        self.sock.settimeout(PATIENCE)
        body = struct.pack("BBH", cmd, 1, 0) + attr + bytes(-len(attr) % 4)
        family = family or khttpd_family()
        self.message = struct.pack("IHHII", 16 + len(body), family, NLM_F_REQUEST | flags, 1, 0) + body
        self.attrs = []

    def send(self):
        """0 or the error's name. The module has done its work then, but for the rest of a dump."""
        try:
            self.sock.send(self.message)
        except OSError as e:
            return errno.errorcode[e.errno]
        return 0

    def receive(self):
        """0, the error's name or UNKNOWN; what came is in attrs"""
        with self.sock:
            while True:
                try:
                    data = self.sock.recv(65536)
                except TimeoutError:
                    raise Wrong(f"no answer to {self.message}") from None
                except OSError as e:
                    return UNKNOWN if e.errno == errno.ENOBUFS else errno.errorcode[e.errno]
                while data:
                    size, kind = struct.unpack_from("IH", data)
                    if kind in (NLMSG_ERROR, NLMSG_DONE):
                        error, = struct.unpack_from("i", data, 16)
                        return errno.errorcode[-error] if error < 0 else 0
                    self.attrs += split_attrs(data[20:size])
                    data = data[(size + 3) & ~3:]

    def ask(self):
        return self.send() or self.receive()


def make_attr(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value


def split_attrs(data):
    while data:
        size, kind = struct.unpack_from("HH", data)
        yield kind & 0x3fff, data[4:size]
        data = data[(size + 3) & ~3:]


def khttpd_family():
    """The family's number, another one after each insmod"""
    ctrl = Control(CTRL_CMD_GETFAMILY, GENL_ID_CTRL, make_attr(CTRL_ATTR_FAMILY_NAME, b"khttpd\0"))
    must(ctrl.ask(), "CTRL_CMD_GETFAMILY")
    return struct.unpack("H", dict(ctrl.attrs)[CTRL_ATTR_FAMILY_ID])[0]


def images():
    state = Control(STATE_GET)
    must(state.ask(), "STATE_GET")
    return struct.unpack("I", dict(state.attrs)[A_IMAGES])[0]


def forsaken():
    """tcp_send_fin() gives up without memory, for any server; it does not try again, and if the peer is silent too, the
    socket stays for ever. No others may be left."""
    left = []

    def only_forsaken():
        left[:] = [s for s in sockets() if s.state != TIME_WAIT]
        return all(s.inode == "0" and s.state in (FIN_WAIT1, LAST_ACK, CLOSING) and s.timer == NO_TIMER for s in left)

    wait_until(only_forsaken, f"sockets are left: {left}")
    note(f"TCP had no memory for a FIN: {lost_ends} clients were not told, {len(left)} sockets wait for ever")
    if left:
        subprocess.run(["ss", "-K", "-Htan", f"sport = :{PORT}"], stdout=subprocess.DEVNULL, check=True)


# --- clients -----------------------------------------------------------------------------------------------

lost_ends = 0


def released(port):
    """Has the server let go of the connection to this port of ours?"""
    return not any(s.peer == port and s.inode != "0" for s in sockets())


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def exchange(pieces, want, half_close=True):
    """Send the pieces; True if all that is wanted came, False if the server ended it earlier in a way that it may."""
    global lost_ends
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE)
    port = sock.getsockname()[1]
    data = bytearray()
    with contextlib.suppress(OSError):
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(0.01 if len(pieces) > 1 else 0)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
    sock.settimeout(1)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            part = sock.recv(1 << 20)
            if not part:
                break
            data += part
        except ConnectionResetError:
            break
        except TimeoutError:
            if released(port):
                lost_ends += 1
                break
            if time.monotonic() > end:
                states = [s for s in sockets() if s.peer == port]
                raise Wrong(f"no end in {PATIENCE} s after {len(data)} bytes; the server's socket: {states}") from None
    reset(sock)
    return judge(data, want) == len(want)


def judge(data, want):
    """How many of the bodies came; raises if anything else did. A set of bodies: any of them."""
    for i, body in enumerate(want):
        bodies = body if isinstance(body, set) else {body}
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if data[:9] != b"HTTP/1.1 "[:len(data)]:
                raise Wrong(f"not the beginning of a head: {bytes(data[:200])}")
            return i
        reply = parse_head(bytes(data[:end]))
        size = int(reply["content-length"])
        got = data[end + 4:end + 4 + size]
        del data[:end + 4 + size]
        if reply.status == 503 and reply.closes and len(got) == size and not data:
            return i
        if reply.status != 200 or not any(size == len(b) and b.startswith(got) for b in bodies):
            raise Wrong(f"reply {i + 1} of {len(want)}: {reply}, {len(got)} bytes of it, {len(data)} after it")
        if len(got) < size:
            return i
    if data:
        raise Wrong(f"nobody asked for these: {bytes(data[:200])}")
    return len(want)


@contextlib.contextmanager
def thief(target="/large.bin"):
    """A reader that does not read, and so holds the reply batch that the server keeps ready for this CPU."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", PORT))
        sock.sendall(request("GET", target))
        sock.recv(1)
        time.sleep(0.02)
        yield
        reset(sock)


large = bytes((i * 31 + (i >> 8)) & 255 for i in range(LARGE))
page = b""
kinds = {}


def get_page(target="/"):
    with socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE) as sock:
        sock.sendall(request("GET", target, "Connection: close"))
        data = b""
        while part := sock.recv(65536):
            data += part
    return data.partition(b"\r\n\r\n")[2]


# Two images whose page is so many letters
IMAGES = {letter: f"/tmp/faults.{letter}" for letter in "AB"}
pages = {letter: letter.encode() * (700 + ord(letter)) for letter in IMAGES}


def learn():
    """What the page is, and so what clients want."""
    global page
    for letter, path in IMAGES.items():
        subprocess.run([f"{KT}/vm-tools/sites", "make", path, letter], check=True)
    page = get_page()
    pages["built-in"] = page
    if not page.endswith(b"</html>\n"):
        raise Wrong(f"this is not our page: {page}")
    long = request("GET", "/", "Connection: close", "X-Long: " + "x" * 3000)
    kinds.update({
        "page": ([request()], [page]),
        # The last piece is too large for the buffer, and nothing comes after it
        "split": ([long[:20], long[20:900], long[900:]], [page], False),
        "pipelined": ([request() * 40], [page] * 40),
        "large": ([request("GET", "/large.bin")], [large]),
        "close": ([request("GET", "/", "Connection: close")], [page], False),
    })


def healthy(what, without=()):
    """Without faults everything is served, and nothing is left of what was before."""
    for name, args in kinds.items():
        if name not in without and not exchange(*args):
            raise Wrong(f"{name} is not served after {what}")
    wait_until(lambda: connections() == 0, f"connections are left after {what}: {list(sockets())}")


# --- what run.sh asks for ----------------------------------------------------------------------------------

def allocations(call):
    """How many there are in call(), and its result"""
    many = 1000000
    result, left = with_nth(many, call)
    return many - left, result


def do_load(stride):
    # Refused by the first thing that we look at
    before, result = allocations(lambda: insmod(f"{LOAD} max_site_bytes=1"))
    if result != "EINVAL":
        raise Wrong(f"insmod max_site_bytes=1: {result}")
    load_failing(LOAD, "built-in", 1, stride, before)
    load_failing(f"{LOAD} site={IMAGES['A']}", "A", before - 20, 1, before)


def load_failing(params, site, first, stride, before):
    results = collections.Counter()
    n = first
    while True:
        result, left = with_nth(n, lambda: insmod(params))
        if left and not result:
            break
        what = f"insmod {params} with allocation {n} failing"
        if left:
            raise Wrong(f"{what} fails, {result}, but not by that")
        results[result] += 1
        if not result:
            # The kernel can do without some
            if get_page() != pages[site]:
                raise Wrong(f"not served after {what}: {get_page()}")
            must(rmmod(), f"rmmod after {what}")
        nothing_left(what)
        # Some allocations more or less each time, so begin a bit earlier
        n += stride if n + stride < before - 20 else 1
    if get_page() != pages[site]:
        raise Wrong(f"not served after insmod {params}: {get_page()}")
    must(rmmod(), "rmmod")
    nothing_left("rmmod")
    if not results["ENOMEM"] or n < before + 10:
        raise Wrong(f"this tested nothing: {results}")
    note(f"insmod makes {n - 1} allocations, {before} of them before it calls us; with each failing: {dict(results)}")


def do_unload():
    n = 1
    while True:
        load()
        idle = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(3)]
        with thief():
            exchange(*kinds["page"])
            result, left = with_nth(n, rmmod)
            must(result, f"rmmod with allocation {n} failing")
        for sock in idle:
            reset(sock)
        nothing_left(f"rmmod with allocation {n} failing")
        if left:
            break
        n += 1
    if n == 1:
        raise Wrong("rmmod allocates nothing: this tests nothing")
    note(f"rmmod makes {n - 1} allocations, and works with each failing")


def do_params():
    load()
    fired = calls = 0
    root = "/sys/module/khttpd/parameters"
    for name in sorted(os.listdir(root)):
        path = f"{root}/{name}"
        fd = os.open(path, os.O_RDWR if os.access(path, os.W_OK) and os.stat(path).st_mode & 0o200 else os.O_RDONLY)
        old = get(path)
        new = str(int(old) + 1) if old.isdigit() else old

        def read():
            try:
                return os.pread(fd, 100, 0).decode().strip()
            except OSError as e:
                return e.errno

        def write():
            try:
                return os.pwrite(fd, new.encode(), 0) and 0
            except OSError as e:
                return e.errno

        for call in (read, write) if os.stat(path).st_mode & 0o200 else (read,):
            n = 1
            while True:
                result, left = with_nth(n, call)
                now = get(path)
                good = (old,) if call == read else (0,)
                if result not in good and (left or result != errno.ENOMEM):
                    raise Wrong(f"{call.__name__} {name}: {result}, allocation {n}, left {left}")
                if now != (new if call == write and result == 0 else old):
                    raise Wrong(f"{call.__name__} {name}: {result}, and now it is {now}")
                if call == write and result == 0:
                    put(path, old)
                calls += 1
                if left:
                    break
                fired += 1
                n += 1
        os.close(fd)
    if not fired:
        raise Wrong("no allocation failed")
    healthy("writing parameters")
    must(rmmod(), "rmmod")
    note(f"parameters read and written {calls} times, {fired} times with an allocation failing")


def do_accept():
    load(LOAD + " shards=1")
    acceptor, = tasks("khttpd/")
    nth = f"/proc/{acceptor}/fail-nth"

    def ready():
        wait_until(lambda: connections() == 0, "connections are left")
        wait_until(lambda: get(f"/proc/{acceptor}/wchan") == "inet_csk_accept", "the accept thread does not accept")

    served = []
    for n in range(1, 100):
        ready()
        put(nth, n)
        served.append(exchange(*kinds["page"]))
        ready()
        left = int(get(nth))
        put(nth, 0)
        if left:
            break
    healthy("failing accepts")
    # Without memory for the connection or its address it is refused; without some for the next accept, that one waits
    if served.count(False) < 2 or not all(served[-2:]):
        raise Wrong(f"this did not test what it should: {served}")
    must(rmmod(), "rmmod")
    nothing_left("rmmod")
    note(f"accept: {len(served) - 1} allocations failed, one at a time; {served.count(True)} of {len(served)} served")


def do_request(step):
    load()
    mark_server()
    for faults, by in ((SLAB, step), (PAGES, 1)):
        for name, args in kinds.items():
            served, quiet, space = [], 0, 0
            while quiet < 3:
                mark_server()
                with thief():
                    faults.arm(100, 1, space)
                    served.append(exchange(*args))
                    faults.disarm()
                quiet = 0 if faults.fired() else quiet + 1
                space += by
            note(f"{faults.name}, {name}: one of {space} failed; {served.count(True)} of {len(served)} served")
            if faults == SLAB and (len(served) < 10 or all(served)):
                raise Wrong("this tested nothing")
        healthy(f"requests with {faults.name}")
    must(rmmod(), "rmmod")
    nothing_left("rmmod")


def swap_site(new, old, call):
    """Serve another site with call(send). Returns what is served then, which must fit the result, and the result."""
    attr, fd = b"", -1
    if new in IMAGES:
        fd = os.open(IMAGES[new], os.O_RDONLY)
        attr = make_attr(A_FD, struct.pack("I", fd))
    ctrl = Control(SITE_LOAD if attr else SITE_DROP, attr=attr)
    with thief("/large"):
        result = call(ctrl.send) or ctrl.receive()
    if fd >= 0:
        os.close(fd)
    now = get_page()
    for site in {0: [new], UNKNOWN: [old, new]}.get(result, [old]):
        if now == pages[site]:
            wait_until(lambda: images() == 1, f"images are left after {result} for {new}")
            return site, result
    raise Wrong(f"after {result} for {new} instead of {old} this is served: {now[:100]}")


def each_failing(what, make_call):
    """Each allocation of make_call()() fails; it returns 0 or an error's name."""
    results = collections.Counter()
    for n in range(1, 1000):
        result, left = with_nth(n, make_call())
        if left:
            must(result, f"{what} with nothing failing")
            break
        if result not in (0, UNKNOWN, "ENOMEM", "ENOBUFS"):
            raise Wrong(f"{what} with allocation {n} failing: {result}")
        results[result] += 1
    if not results:
        raise Wrong(f"{what} allocates nothing: this tests nothing")
    note(f"{what} makes {n - 1} allocations; with each failing: {dict(results)}")


def do_site(times):
    load()
    site, left = "built-in", 0
    for new in ("A", "B", "built-in", "A"):
        results = collections.Counter()
        for n in range(1, 1000):
            def failing(send):
                nonlocal left
                result, left = with_nth(n, send)
                return result
            old = site
            site, result = swap_site(new, old, failing)
            if left:
                must(result, f"{new} with nothing failing")
                break
            results[result] += 1
            if site == new:
                site, result = swap_site(old, site, lambda send: send())
                must(result, f"back to {old}")
        if len(results) < 2:
            raise Wrong(f"this tested nothing: {results}")
        note(f"serving {new} makes {n - 1} allocations; with each failing: {dict(results)}")

    idle = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(3)]
    for name, cmd, flags in (("STATE_GET", STATE_GET, NLM_F_ACK), ("STATS_GET", STATS_GET, NLM_F_ACK),
                             ("CONN_GET", CONN_GET, NLM_F_DUMP)):
        each_failing(name, lambda: Control(cmd, flags=flags).ask)
    for sock in idle:
        reset(sock)

    # Now whatever allocates: this task, accept threads, workers that serve or free images
    results, served, asked = collections.Counter(), 0, 0

    def random_failing(send):
        nonlocal served, asked
        mark_server()
        for faults in (SLAB, PAGES):
            faults.arm(random.choice((1, 3, 10, 30)), interval=3)
        with marked():
            result = send()
        # Whichever site it is, it is a whole one
        asked += 1
        served += exchange([request()], [set(pages.values())])
        for faults in (SLAB, PAGES):
            faults.disarm()
        return result

    for _ in range(times):
        new = random.choice([other for other in pages if other != site])
        site, result = swap_site(new, site, random_failing)
        results[result] += 1
    if len(results) < 2:
        raise Wrong(f"this tested nothing: {results}")
    note(f"{times} swaps while anything may fail: {dict(results)}; {served} of {asked} requests served")
    if site != "built-in":
        _, result = swap_site("built-in", site, lambda send: send())
        must(result, "SITE_DROP")
    healthy("swaps", without=("large",))  # SITE_DROP knows no debug_large
    must(rmmod(), "rmmod")
    nothing_left("rmmod")


def do_fragmented():
    """Before 6.5 images are made of larger pages; now each has a form of its own."""
    load()
    site, seen = "built-in", set()
    # All that is as large as 2^order pages fails, always or at times
    for order, probability in ((0, 0), (1, 100), (2, 100), (3, 100), (1, 50), (1, 50)):
        def fragmented(send):
            nonlocal failed
            put(f"{PAGES.dir}/min-order", order)
            PAGES.arm(probability, 100000)
            with marked():
                result = send()
            failed = 100000 - int(get(f"{PAGES.dir}/times"))
            PAGES.disarm()
            put(f"{PAGES.dir}/min-order", 0)
            return result
        failed = 0
        for new in ("A", "built-in"):
            site, result = swap_site(new, site, fragmented if new == "A" else lambda send: send())
            must(result, f"{new} with pages of order {order} failing")
            if new == "A":
                seen.add(get_page("/large"))
        if probability == 100 and not failed:
            raise Wrong(f"no allocation of order {order} failed: this tests nothing")
        note(f"order {order}, {probability} %: {failed} allocations failed")
    if len(seen) != 1 or len(*seen) < 32768:
        raise Wrong(f"{len(seen)} different files were served from one image")
    must(rmmod(), "rmmod")
    nothing_left("rmmod")


def do_reload(times):
    loaded = served = asked = 0
    for _ in range(times):
        for faults in (SLAB, PAGES):
            faults.arm(random.choice((1, 2, 5, 30)), interval=10)
        with marked():
            result = insmod()
        if result == 0:
            loaded += 1
            mark_server()
            for args in kinds.values():
                asked += 1
                served += exchange(*args)
            with marked():
                result = rmmod()
            must(result, "rmmod")
        SLAB.disarm()
        PAGES.disarm()
        nothing_left(f"insmod ({result}) and rmmod")
    if not 0 < loaded < times:
        raise Wrong(f"{loaded} of {times} times insmod worked: this tests nothing")
    note(f"{times} times insmod, {loaded} of them loaded; {served} of {asked} requests served")


def storm(*options):
    """Start a crowd, and let it learn the page, which it does alone, before anything fails."""
    command = [f"{KT}/vm-tools/storm", "-m", "-n", "40", "-l", str(LARGE), "-s", str(random.randrange(1 << 30))]
    crowd = subprocess.Popen(command + [str(o) for o in options], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: len([s for s in sockets() if s.inode != "0" and s.peer]) > 2, "no storm")
    return crowd


def do_storm(seconds):
    for faults, probability in ((SLAB, 2), (PAGES, 20), (SLAB, 30)):
        load()
        crowd = storm("-t", seconds, "-d", 5)
        faults.arm(probability)
        end = time.monotonic() + seconds
        while crowd.poll() is None and time.monotonic() < end:
            mark_server()
            time.sleep(0.3)
        faults.disarm()
        text, _ = crowd.communicate(timeout=PATIENCE)
        ends = re.search(r"^answered=.*", text, re.M)
        if crowd.returncode or not ends:
            raise Wrong(f"storm: status {crowd.returncode}: {text}")
        note(f"{faults.name} {probability} %: {ends[0]}")
        healthy("the storm")

        # And rmmod in the middle of one
        crowd = storm("-t", 600)
        mark_server()
        faults.arm(probability)
        time.sleep(0.5)
        crowd.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        must(rmmod(), "rmmod")
        faults.disarm()
        crowd.kill()
        text, _ = crowd.communicate()
        if "WRONG:" in text:
            raise Wrong(f"storm: {text}")
        nothing_left("rmmod")


def main():
    load()
    learn()
    must(rmmod(), "rmmod")
    for step in sys.argv[1:]:
        name, _, amount = step.partition("=")
        # One CPU, so that the server works where the thief steals
        os.sched_setaffinity(0, range(os.cpu_count()) if name == "storm" else {0})
        begin = time.monotonic()
        try:
            globals()[f"do_{name}"](*[int(amount)] if amount else [])
        except BaseException:
            SLAB.disarm()
            PAGES.disarm()
            raise
        note(f"{name}: {time.monotonic() - begin:.0f} s")
    forsaken()


if __name__ == "__main__":
    try:
        main()
    except Wrong as e:
        sys.exit(f"# {e}")
