# SPDX-License-Identifier: MIT OR GPL-2.0
"""What khttpd-epoll does besides HTTP: files, signals, users, logs, and having too little of something."""

import contextlib
import ctypes
import json
import os
import pwd
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from client import PORT, Client, get, request, server_sockets
from conftest import PATIENCE, PROGRAM, TOP
from program import start

FULL = os.environ.get("KHTTPD_FULL") == "1"
LARGE = 400000


@pytest.fixture
def sites(tmp_path):
    """Images whose files are so many letters."""
    images = {}
    for letter in "AB":
        folder = tmp_path / f"site-{letter}"
        folder.mkdir()
        (folder / "small").write_text(letter * 77)
        (folder / "large").write_text(letter * LARGE)
        images[letter] = tmp_path / f"{letter}.img"
        subprocess.run([f"{TOP}/build/khttpctl", "pack", "-q", "--encodings=none", "-o", images[letter], folder],
                       check=True)
    return images


def refused(*options):
    """It does not start; what it says."""
    done = subprocess.run([PROGRAM, f"--port={PORT}", *options], stderr=subprocess.PIPE, timeout=PATIENCE, check=False,
                          encoding="utf-8")
    assert done.returncode in (1, 64) and "Sanitizer" not in done.stderr, done.stderr
    return done.stderr


# --- what is served ----------------------------------------------------------------------------------------

def test_without_a_site_a_page_says_what_this_is(epoll):
    epoll()
    assert b"khttpd" in get("/").body


def test_folder_is_packed_and_served(epoll, tmp_path):
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "index.html").write_text("<p>hello")
    epoll(f"--site={folder}")
    assert get("/").body == b"<p>hello"


def test_file_that_changes_after_the_start_does_not_matter(epoll, sites):
    epoll(f"--site={sites['A']}")
    with open(sites["A"], "r+b") as f:
        f.truncate(100)
    assert get("/large").body == b"A" * LARGE


def test_bad_site_is_refused(tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(b"not an image" * 100)
    assert "bad: cannot be used: " in refused(f"--site={bad}")
    assert "nothing: No such file" in refused(f"--site={tmp_path / 'nothing'}")


def test_hup_reads_the_site_again_and_a_bad_one_not(epoll, sites, tmp_path):
    site = tmp_path / "site.img"
    os.link(sites["A"], site)
    server = epoll(f"--site={site}")
    with Client() as c:
        assert c.ask("GET", "/small").body == b"A" * 77
        os.replace(sites["B"], site)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("read again")
        assert c.ask("GET", "/small").body == b"B" * 77
        site.write_bytes(b"")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("old site goes on")
        assert c.ask("GET", "/small").body == b"B" * 77


def test_swaps_under_load_lose_no_request(epoll, sites, tmp_path):
    """Each reply is wholly from one site, and each request gets one."""
    site = tmp_path / "site.img"
    os.link(sites["A"], site)
    server = epoll(f"--site={site}")
    over, wrong, seen = threading.Event(), [], set()

    def check(c, path, size):
        body = c.ask("GET", path).body
        letters = set(body)
        seen.update(letters)
        assert len(body) == size and len(letters) == 1, f"{path}: {len(body)} bytes of {letters}"

    def ask():
        try:
            with Client() as c:
                while not over.is_set():
                    check(c, "/small", 77)
                    check(c, "/large", LARGE)
        except Exception as e:  # pylint: disable=broad-exception-caught
            wrong.append(e)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for t in threads:
        t.start()
    for n in range(1000 if FULL else 60):
        fresh = shutil.copy(sites["AB"[n % 2]], tmp_path / "fresh")
        os.replace(fresh, site)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("read again", n + 1)
    over.set()
    for t in threads:
        t.join(PATIENCE)
    assert not wrong
    assert seen == set(b"AB")
    assert len([fd for fd in os.listdir(f"/proc/{server.process.pid}/fd")
                if "khttpd-site" in os.readlink(f"/proc/{server.process.pid}/fd/{fd}")]) == 1, "old sites are kept"


def test_old_sites_are_not_kept_for_ever_for_slow_readers(epoll, tmp_path):
    """Of those that were replaced more than ten seconds ago the last four are."""
    size = 6000000
    folder = tmp_path / "www"
    folder.mkdir()
    server = epoll(f"--site={folder}", "--threads=1")
    slow = []
    for n in range(7):
        (folder / "large").write_bytes(bytes([65 + n]) * size)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("read again", n + 1)
        slow.append(Client(rcvbuf=8192))
        slow[-1].send(request("GET", "/large", "Accept-Encoding: identity"))
        assert slow[-1].sock.recv(1) == b"H"
    images = f"/proc/{server.process.pid}/maps"

    def held():
        with open(images, encoding="ascii") as f:
            return f.read().count("khttpd-site")
    end = time.monotonic() + PATIENCE
    while held() > 5 and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(0.5)
    assert held() == 5
    for n, c in enumerate(slow):
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while part := c.sock.recv(1 << 20):
                got += len(part)
                if got >= size:
                    break
        assert (got >= size) == (n >= 2), f"client {n} got {got} bytes"
        c.sock.close()
    server.end()


# --- beginning and end -------------------------------------------------------------------------------------

def test_port_in_use_is_an_error(epoll):
    epoll()
    assert f"port {PORT}: Address already in use" in refused()


@pytest.mark.parametrize("options, why", [
    (["--port=0"], "port must be a number from 1 to 65535"),
    (["--max_head=100"], "max_head must be a number from 256 to 65536"),
    (["--idle_timeout_ms=1s"], "idle_timeout_ms must be a number"),
    (["--bind=example"], "example is no IP address"),
    (["--log-format=xml"], "log-format must be combined or json"),
    (["--seccomp=on"], "seccomp must be deny, kill or off"),
    (["--log=/nonexistent/log"], "/nonexistent/log: No such file"),
    (["surplus"], "Too many arguments"),
])
def test_wrong_options_are_named(options, why):
    assert why in refused(*options)


def test_options_are_what_the_manual_and_the_module_say():
    """Names and defaults are those of the module's parameters; the manual has all options, with their defaults."""
    text = subprocess.run([PROGRAM, "--help"], stdout=subprocess.PIPE, check=True, timeout=PATIENCE, encoding="ascii").stdout
    text = re.sub(r"\s+", " ", text.split("\n\nMandatory")[0])
    options = dict(re.findall(r" --([a-z_-]+)(?:=\S+)?((?:(?! --).)*)", text))
    del options["help"], options["usage"], options["version"]
    with open(f"{TOP}/docs/khttpd-epoll.1", encoding="ascii") as f:
        manual = f.read().replace("\\", "").split(".SH OPTIONS")[1]
    parameters = {}
    with open(f"{TOP}/README.md", encoding="utf-8") as f:
        for line in f:
            if m := re.match(r"\| `(\w+)` \| (\S*) \|", line):
                parameters[m[1]] = m[2]
    numbers = [name for name in options if "_" in name]
    assert len(numbers) == 11
    for name, help_text in options.items():
        assert f"--{name}" in manual, name
        default = re.search(r"\(default: (\d+)\)", help_text)
        if name in numbers:
            assert default[1] == parameters[name], name
        if default:
            entry = manual[manual.index(f"--{name}=fI"):].split(".TP")[0]
            assert re.search(rf"[Dd]efault: {default[1]}\b", entry), name


def slow_folder(tmp_path):
    """Text that takes some seconds to pack."""
    folder = tmp_path / "slow"
    folder.mkdir()
    words = [os.urandom(5).hex() for _ in range(3000)]
    chooser = random.Random(1)
    for n in range(12):
        (folder / f"{n}.txt").write_text(" ".join(chooser.choices(words, k=200000)))
    return folder


def test_interrupt_ends_the_packing_at_the_start(tmp_path):
    with start([PROGRAM, f"--port={PORT}", f"--site={slow_folder(tmp_path)}"]) as process:
        time.sleep(1)
        assert process.poll() is None
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        assert time.monotonic() - begin < 1


def test_term_does_not_wait_for_a_site_that_is_read_again(epoll, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    server = epoll(f"--site={site}")
    site.rename(tmp_path / "empty")
    slow_folder(tmp_path).rename(site)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert get("/").status == 404
    assert "read again" not in server.messages()
    begin = time.monotonic()
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
    assert time.monotonic() - begin < 2


def test_site_for_which_there_is_no_memory_leaves_the_old_one(epoll, tmp_path):
    """Packing once ended the server with it."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<p>old")
    server = epoll(f"--site={site}", program=f"{TOP}/build/khttpd-epoll")
    readers = subprocess.run(["pgrep", "-P", str(server.process.pid)], stdout=subprocess.PIPE, check=True).stdout.split()
    assert len(readers) == 1
    resource.prlimit(int(readers[0]), resource.RLIMIT_AS, (1 << 30,) * 2)
    with open(site / "large", "wb") as f:
        f.truncate(2 << 30)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("old site goes on")
    assert get("/").body == b"<p>old"
    (site / "large").unlink()
    (site / "index.html").write_text("<p>new")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("read again")
    assert get("/").body == b"<p>new"


def test_without_the_process_that_reads_the_old_site_goes_on(epoll):
    server = epoll()
    reader = int(subprocess.run(["pgrep", "-P", str(server.process.pid)], stdout=subprocess.PIPE, check=True).stdout)
    os.kill(reader, signal.SIGKILL)
    server.wait_for("the process that reads the site has ended")
    for n in range(3):
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("the old site goes on", n + 1)
    assert get("/").status == 200
    server.end()


def test_process_that_reads_keeps_nothing_of_the_server(epoll, sites):
    server = epoll(f"--site={sites['A']}", "--log=/dev/null")
    reader = int(subprocess.run(["pgrep", "-P", str(server.process.pid)], stdout=subprocess.PIPE, check=True).stdout)
    end = time.monotonic() + PATIENCE
    while len(files := os.listdir(f"/proc/{reader}/fd")) != 4:  # three of everybody's, and the socket
        assert time.monotonic() < end, files
        time.sleep(0.01)
    with open(f"/proc/{reader}/maps", encoding="ascii") as f:
        assert "khttpd-site" not in f.read()


def test_many_threads_start(epoll):
    """Each has an arena of malloc()'s, until these are too many for the number of processors."""
    epoll("--threads=40", program=f"{TOP}/build/khttpd-epoll")
    assert get("/").status == 200


def test_killed_server_leaves_no_process(epoll):
    server = epoll()
    reader = int(subprocess.run(["pgrep", "-P", str(server.process.pid)], stdout=subprocess.PIPE, check=True).stdout)
    server.process.kill()
    server.process.wait()
    end = time.monotonic() + PATIENCE
    while os.path.exists(f"/proc/{reader}") and "Z" not in open(f"/proc/{reader}/stat", encoding="ascii").read().split()[2]:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_second_interrupt_does_not_wait_for_replies(epoll):
    server = epoll("--debug-large=6000000")
    slow = Client(rcvbuf=8192)
    slow.send(request("GET", "/large.bin"))
    slow.sock.recv(1)
    server.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert server.process.poll() is None
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(2) == -signal.SIGINT
    slow.sock.close()


def test_pipe_is_no_site(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "pipe: it is not a site image" in refused(f"--site={tmp_path / 'pipe'}")


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("ss"), reason="only root can close a listener from outside")
def test_listener_that_is_closed_from_outside_is_told_of(epoll):
    """accept() failed for ever, and was tried for ever."""
    server = epoll("--threads=1")
    with Client() as c:
        assert c.ask().status == 200
        subprocess.run(["ss", "-K", "-ltn", "sport", "=", f":{PORT}"], check=True, stdout=subprocess.DEVNULL)
        with contextlib.suppress(OSError):
            Client().sock.close()
            pytest.skip("this kernel does not let root close sockets (CONFIG_INET_DIAG_DESTROY)")
        server.wait_for("a listener was closed from outside")

        def ticks():
            with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as f:
                return sum(map(int, f.read().rpartition(")")[2].split()[11:13]))
        before = ticks()
        time.sleep(1)
        assert ticks() - before < 20
        assert c.ask().status == 200


def test_connection_requested_in_the_last_moment_is_answered(epoll):
    """What the kernel has accepted already is not reset."""
    server = epoll("--threads=1")
    server.process.send_signal(signal.SIGSTOP)
    late = [Client() for _ in range(20)]
    for c in late:
        c.send(request())
    server.process.terminate()
    server.process.send_signal(signal.SIGCONT)
    for c in late:
        assert c.response().status == 200
        c.sock.close()


def test_claims_end_with_the_connections_that_left(epoll):
    """Claims that were never used up shed the next ones, far below the limit."""
    server = epoll("--threads=2", "--max_conns=200", "--debug-large=3000000", "--send_timeout_ms=60000")
    old = [Client(rcvbuf=4096) for _ in range(200)]
    for c in old:
        assert c.ask().status == 200
    time.sleep(0.3)
    server.process.send_signal(signal.SIGSTOP)
    for c in old:
        c.send(request("GET", "/large.bin"))
    new = [Client() for _ in range(25)]
    server.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    for c in old + new:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sock.close()
    end = time.monotonic() + PATIENCE
    while server_sockets():
        assert time.monotonic() < end
        time.sleep(0.05)
    for _ in range(60):
        with Client() as c:
            assert c.ask().status == 200
            assert c.ask().status == 200


def test_reply_that_arrives_late_outlives_the_idle_timeout(epoll):
    """The first reply's send time-out was counted from the beginning of time."""
    epoll("--threads=1", "--idle_timeout_ms=1000")
    with Client() as c:
        # Takes no packet, for a while: BPF_RET 0, and then off again
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(nothing))
        c.send(b"")
        c.sock.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER
        c.send(request())
        time.sleep(2)
        c.sock.setsockopt(socket.SOL_SOCKET, 27, struct.pack("i", 0))  # SO_DETACH_FILTER
        assert c.response().status == 200


def test_killed_server_starts_again_at_once(epoll):
    server = epoll()
    with Client() as c:
        assert c.ask().status == 200
        server.process.kill()
        server.process.wait()
    epoll()
    assert get("/").status == 200


def test_term_lets_replies_end(epoll, sites):
    server = epoll(f"--site={sites['A']}")
    idle = Client()
    assert idle.ask("GET", "/small").status == 200
    busy = Client(rcvbuf=8192)
    busy.send(request("GET", "/large"))
    begun = Client()
    begun.send(b"GET /small HTTP/1.1\r\n")
    time.sleep(0.3)
    server.process.terminate()
    idle.expect_eof()
    idle.sock.close()
    end = time.monotonic() + PATIENCE
    with pytest.raises(OSError):
        while time.monotonic() < end:
            Client().sock.close()
    begun.send(b"Host: test\r\n\r\n")
    reply = begun.response()
    assert (reply.status, reply.closes) == (200, True)
    begun.sock.close()
    assert busy.response().body == b"A" * LARGE
    busy.sock.close()
    assert server.process.wait(timeout=PATIENCE) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_user_is_another_one_in_the_end(epoll):
    server = epoll("--user=nobody")
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
        status = f.read()
    nobody = pwd.getpwnam("nobody")
    assert re.search(rf"^Uid:(\t{nobody.pw_uid}){{4}}$", status, re.M)
    assert re.search(rf"^Gid:(\t{nobody.pw_gid}){{4}}$", status, re.M)
    assert re.search(rf"^Groups:\t{nobody.pw_gid} ?$", status, re.M)
    assert get("/").status == 200


def test_threads_are_kept_to_the_system_calls_that_they_need(epoll):
    """Those that read what clients send to fewer than the program."""
    server = epoll("--threads=3", "--log=/dev/null")
    filters = []
    for task in os.listdir(f"/proc/{server.process.pid}/task"):
        with open(f"/proc/{server.process.pid}/task/{task}/status", encoding="ascii") as f:
            status = f.read()
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M)
        assert re.search(r"^Seccomp:\t2$", status, re.M)
        filters.append(int(re.search(r"^Seccomp_filters:\t(\d+)$", status, re.M)[1]))
    before = min(filters)
    assert sorted(filters)[-5:] == [before] * 2 + [before + 1] * 3  # the program and its log, three that serve
    if "san" in os.path.basename(PROGRAM):
        return  # a thread of the sanitizer's may be there
    assert len(filters) == 5


def test_many_connections_that_go_kill_nobody(epoll):
    """Freeing that much memory makes the C library read a file, which is no crime."""
    server = epoll("--threads=1", program=f"{TOP}/build/khttpd-epoll")
    crowd = [Client() for _ in range(1500)]
    for c in crowd:
        c.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 3000)
    time.sleep(0.5)
    for c in reversed(crowd):
        c.sock.close()
    time.sleep(0.5)
    assert get("/").status == 200
    server.alive()


CALLS = "exec fork socket code protect open terminal outq memory thread".split()


@pytest.mark.parametrize("role, allowed", [
    ("program", {"open", "outq", "memory", "thread"}),
    ("worker", {"outq", "memory"}),  # the C library tries to open something now and then: that kills nobody
])
def test_sandbox_lets_through_what_it_should(role, allowed):
    def attempt(action, call):
        return subprocess.run([f"{TOP}/build/try_sandbox", role, action, call], stdin=subprocess.DEVNULL,
                              check=False, timeout=PATIENCE).returncode
    for call in CALLS:
        assert attempt("deny", call) == (0 if call in allowed else 1), call
        assert attempt("kill", call) == (0 if call in allowed else 1 if call == "open" else -signal.SIGSYS), call
        assert attempt("off", call) == (2 if call == "terminal" else 0), call


def test_term_in_a_flood_ends_all_threads(epoll):
    """Threads that ended were freed while others still looked at them to make room."""
    for _ in range(4):
        server = epoll("--threads=8", "--max_conns=2")
        over = threading.Event()

        def flood():
            while not over.is_set():
                with contextlib.suppress(OSError, AssertionError), Client() as c:
                    c.ask()

        threads = [threading.Thread(target=flood) for _ in range(4)]
        for t in threads:
            t.start()
        time.sleep(0.3)
        server.end()
        over.set()
        for t in threads:
            t.join(PATIENCE)


def test_reset_in_the_middle_of_a_large_reply_ends_one_connection(epoll):
    """sendfile() raised SIGPIPE."""
    server = epoll("--debug-large=6000000")
    for half_close in (True, False) * 20:
        c = Client(rcvbuf=8192)
        c.send(request("GET", "/large.bin"))
        if half_close:
            c.sock.shutdown(socket.SHUT_WR)
        c.sock.recv(1)
        c.sock.close()
    assert get("/").status == 200
    assert server.process.poll() is None


# --- the log -----------------------------------------------------------------------------------------------

HOSTILE = 'GET /%0a?q="\\ HTTP/1.1\r\nHost: test\r\nUser-Agent: "\t\\\x80é\r\nReferer:  x \r\n\r\n'


def ask_this_and_that():
    with Client() as c:
        assert c.ask("GET", "/nothing?x=1").status == 404
        c.send(HOSTILE.encode("latin-1"))
        assert c.response().status == 404
        c.send(b"BAD\r\n\r\n")
        assert c.response().status == 400


def test_combined_log(epoll, tmp_path):
    server = epoll(f"--log={tmp_path / 'log'}")
    ask_this_and_that()
    server.end()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 3
    begin = r"127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
    assert re.fullmatch(begin + r'"GET /nothing\?x=1 HTTP/1\.1" 404 \d+ "-" "[^"]*"', lines[0])
    assert re.fullmatch(begin + r'"GET /%0a\?q=\\x22\\x5C HTTP/1\.1" 404 \d+ "x" "\\x22\\x09\\x5C\\x80\\xE9"', lines[1])
    assert re.fullmatch(begin + r'"-" 400 \d+ "-" "-"', lines[2])


def test_json_log(epoll, tmp_path):
    server = epoll(f"--log={tmp_path / 'log'}", "--log-format=json")
    ask_this_and_that()
    server.end()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["status"] for line in lines] == [404, 404, 400]
    assert lines[0]["target"] == "/nothing?x=1"
    assert lines[1]["agent"] == '"\t\\\x80é'
    assert (lines[1]["referer"], lines[1]["host"], lines[1]["method"]) == ("x", "test", "GET")
    assert "target" not in lines[2]


def test_log_is_opened_anew_by_hup(epoll, tmp_path):
    log = tmp_path / "log"
    server = epoll(f"--log={log}")
    assert get("/").status == 200
    time.sleep(0.3)
    log.rename(tmp_path / "log.1")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("read again")
    time.sleep(0.3)
    assert get("/").status == 200
    server.end()
    assert [len(f.read_text().splitlines()) for f in (tmp_path / "log.1", log)] == [1, 1]


def test_full_disk_costs_lines_not_replies(epoll):
    server = epoll("--log=/dev/full", "--threads=1")
    with Client() as c:
        for _ in range(200):  # more than a thread keeps: 1 MiB
            c.send(request("GET", "/" + "x" * 900, "Referer: " + "y" * 900, "User-Agent: " + "z" * 900) * 5)
            for _ in range(5):
                assert c.response().status == 404
    server.end()
    assert "/dev/full: No space left" in server.messages()
    assert re.search(r"[1-9]\d* lines of the access log were dropped", server.messages())


@pytest.mark.parametrize("log_format", ["combined", "json"])
@pytest.mark.parametrize("fill", ["x", "\xe9", '"'])
def test_log_parts_may_be_of_any_length(epoll, tmp_path, log_format, fill):
    """Five long parts were more than a line had room for."""
    server = epoll(f"--log={tmp_path / 'log'}", f"--log-format={log_format}")
    head = f"GET /{'x' * 2000}?{'x' * 2000} HTTP/1.1\r\nHost: {'h' * 2000}\r\n" \
        f"User-Agent: {fill * 2000}\r\nReferer: {fill * 2000}\r\n\r\n"
    with Client() as c:
        for _ in range(2):
            c.send(head.encode("latin-1"))
            assert c.response().status == 404
    server.end()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 2
    assert all(len(line) > 4 * (1000 - 14) and line[-1] in '"}' for line in lines)


def test_log_into_a_pipe_that_nobody_reads_does_not_hold_the_end_up(epoll):
    with open(os.devnull, "rb") as nothing:
        server = epoll("--log=-", stdin=nothing, stdout=subprocess.PIPE)
        for _ in range(20):
            with Client() as c:
                for _ in range(40):
                    assert c.ask("GET", "/" + "x" * 900).status == 404
        server.end()
        server.process.stdout.close()
        server = epoll("--log=-", stdin=nothing, stdout=subprocess.PIPE)
        server.process.stdout.close()
        for _ in range(20):
            assert get("/").status == 200
            time.sleep(0.02)
        server.end()


def test_log_lines_of_all_threads_are_whole(epoll, tmp_path):
    server = epoll(f"--log={tmp_path / 'log'}", "--log-format=json", "--threads=4")
    for _ in range(100):
        with Client() as c:
            c.send(request("GET", "/" + "x" * 100) * 40)
            for _ in range(40):
                assert c.response().status == 404
    server.end()
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 4000
    assert all(json.loads(line)["target"] == "/" + "x" * 100 for line in lines)


# --- too little of something -------------------------------------------------------------------------------

def each_served(n, pause=0):
    """That many clients, one after the other, each asked and answered, and still there."""
    held = []
    for _ in range(n):
        c = Client()
        held.append(c)
        c.send(request())
        assert c.response().status == 200
        time.sleep(pause)
    return held


def test_without_descriptors_idle_connections_make_room(epoll):
    server = epoll("--threads=1")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (40, 40))
    begin = time.monotonic()
    for c in each_served(100):
        c.sock.close()
    assert time.monotonic() - begin < 5, "each waited although room had been made"


def test_without_memory_those_that_are_served_stay_and_others_come_back(epoll):
    """Some of those that need memory are turned away, no more: with the program as it is built for users."""
    server = epoll("--threads=1", "--max_head=65536", program=f"{TOP}/build/khttpd-epoll")
    with Client() as old:
        assert old.ask().status == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_DATA, (4096, resource.RLIM_INFINITY))
        greedy, served = [], 0
        for _ in range(40):
            c = Client()
            greedy.append(c)
            with contextlib.suppress(OSError):
                c.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 60000)
        time.sleep(0.3)
        assert old.ask().status == 200
        resource.prlimit(server.process.pid, resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)
        for c in greedy:
            with contextlib.suppress(OSError, AssertionError):
                c.send(b"\r\nHost: test\r\n\r\n")
                served += c.response().status == 200
            c.sock.close()
        assert served < len(greedy), "there was enough memory: the test tests nothing"
        assert old.ask().status == 200
    assert get("/").status == 200


def test_clients_that_never_close_make_room(epoll):
    """Each that was shed kept its place for the linger time-out."""
    epoll("--max_conns=32")
    for c in each_served(100, 0.01):
        c.sock.close()


def test_full_tables_shed_nobody_for_nobody(epoll):
    """accept() fails for want of a descriptor before it looks whether somebody waits."""
    server = epoll("--threads=1")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (40, 40))
    held = each_served(50)
    time.sleep(0.5)
    before = sum(c.is_open() for c in held)
    time.sleep(1)
    assert sum(c.is_open() for c in held) == before
    for c in held:
        c.sock.close()


def test_connections_leave_descriptors_for_the_site_and_the_log(epoll, sites, tmp_path):
    """As many as are allowed, with some to spare."""
    log = tmp_path / "log"
    server = epoll("--threads=1", f"--site={sites['A']}", f"--log={log}",
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
    assert re.search(r"only 100 files may be open: max_conns is \d\d, not 65536", server.messages())
    stuck = []
    for _ in range(120):
        stuck.append(Client())
        stuck[-1].send(b"GET ")
    log.rename(tmp_path / "old")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("read again")
    end = time.monotonic() + PATIENCE
    while not log.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    for c in stuck:
        c.sock.close()


def test_log_that_cannot_be_opened_is_tried_again(epoll, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    server = epoll(f"--log={folder / 'log'}")
    folder.rename(tmp_path / "gone")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("read again")
    time.sleep(0.3)
    folder.mkdir()
    end = time.monotonic() + PATIENCE
    while not (folder / "log").exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_sites_that_are_refused_cost_no_memory(epoll, sites, tmp_path):
    site = tmp_path / "site.img"
    shutil.copy(sites["A"], site)
    server = epoll(f"--site={site}")
    image = bytearray(sites["A"].read_bytes())
    image[-1] ^= 1
    site.write_bytes(image)
    for n in range(5):
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("old site goes on", n + 1)
    with open(f"/proc/{server.process.pid}/maps", encoding="ascii") as f:
        assert f.read().count("khttpd-site") == 1


def test_many_idle_connections(epoll):
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    n = 10000
    if files < n + 100:
        pytest.skip(f"only {files} files may be open")
    server = epoll()

    def memory():
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"^VmRSS:\s*(\d+) kB", f.read(), re.M)[1]) * 1024
    before = memory()
    with subprocess.Popen([f"{TOP}/build/vm-tools/httpc", "idle", "-p", str(PORT), "-n", str(n), "-f", "/"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii") as crowd:
        assert f"complete={n}" in crowd.stdout.readline()
        each = (memory() - before) / n
        print(f"{each:.0f} bytes a connection")
        assert get("/").status == 200
        crowd.stdin.close()
        assert "closed_at_once=0 " in crowd.stdout.readline()
    if "san" not in os.path.basename(PROGRAM):
        assert each < 1000
