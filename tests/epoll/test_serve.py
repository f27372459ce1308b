# SPDX-License-Identifier: MIT OR GPL-2.0
"""khttpctl serve, by khttpd-epoll: what it notices, what it says, and that it leaves nothing behind.

Nothing here may load a module into the kernel of whoever runs the tests: root gives up the capability before.
"""

import contextlib
import fcntl
import os
import pty
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from client import PORT, Client, get, request
from conftest import PATIENCE, PROGRAM, TOP, Program
from program import start, usual_signals

CTL = os.environ.get("KHTTPCTL_PROGRAM", f"{TOP}/build/khttpctl")
ROOT = os.getuid() == 0
NO_MODULES = ["setpriv", "--bounding-set=-sys_module", "--inh-caps=-sys_module"] if ROOT else []
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
LARGE = 6000000
F_SETPIPE_SZ = 1031  # fcntl has no name for it before Python 3.10
SWAP = "the changed site is served"


@pytest.fixture(name="home", scope="module")
def fixture_home():
    """The two programs in a folder that everybody may read."""
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        shutil.copy(CTL, f"{home}/khttpctl")
        shutil.copy(PROGRAM, f"{home}/khttpd-epoll")
        yield home


@pytest.fixture(name="www")
def fixture_www():
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        www = f"{top}/www"
        os.mkdir(www)
        write(f"{www}/index.html", "one")
        yield www


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def image(path, letter):
    """An image in one step, as khttpctl pack makes it."""
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/index.html", letter)
        subprocess.run([f"{TOP}/build/khttpctl", "pack", "-q", "-o", path, folder], check=True)


def body(path="/"):
    return get(path).body.decode("ascii")


def is_free():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            s.bind(("", PORT))
            return True
    return False


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{int(name)}/stat", encoding="latin-1") as f:
            if int(f.read().rpartition(")")[2].split()[1]) == pid:
                found.append(int(name))
    return found


def is_there(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="latin-1") as f:
        return f.read().rpartition(")")[2].split()[0] != "Z"
    return False


def until(true, what):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what()
        time.sleep(0.01)


class Serve(Program):
    """khttpctl serve in a process group of its own, as a shell would start it."""

    def __init__(self, home, *options, ready="serving .* by", before=(), **popen):
        super().__init__([*before, f"{home}/khttpctl", "serve", f"--port={PORT}", *options], ready,
                         start_new_session=True, **popen)

    def count(self, text):
        return self.messages().count(text)

    def ended(self, status):
        assert self.process.wait(timeout=PATIENCE) == status, self.messages()
        assert is_free()

    def interrupt(self):
        """Ctrl-C: the terminal sends it to the whole group. No word more, no process, no listener.

        A change that its test has just seen served may not have been told of yet.
        """
        before, rest = self.messages(), children(self.process.pid)
        assert rest
        assert self.process.pid not in map(os.getpgid, rest), "it would be interrupted, and asked to end, too"
        os.killpg(self.process.pid, signal.SIGINT)
        self.ended(0)
        after = self.messages()
        before = before[:before.rfind("\n") + 1]
        assert after.startswith(before)
        assert not [line for line in after[len(before):].splitlines() if SWAP not in line], after
        assert not [pid for pid in rest if is_there(pid)]

    @contextlib.contextmanager
    def looking_away(self):
        """What is changed meanwhile is one change for it, however slow the machine is."""
        self.process.send_signal(signal.SIGSTOP)
        yield
        self.process.send_signal(signal.SIGCONT)

    def write(self, path, text, swaps):
        """A file changes, which is served as the swap of that number."""
        with self.looking_away():
            write(path, text)
        self.wait_for(SWAP, swaps)


@pytest.fixture(name="serve")
def fixture_serve(home):
    servers = []

    def serving(*options, before=tuple(NO_MODULES), **more):
        servers.append(Serve(home, *options, before=before, **more))
        return servers[-1]
    yield serving
    for s in servers:
        if s.process.poll() is None:
            s.process.kill()
            s.process.wait()
    until(is_free, lambda: "somebody still listens")


def fails(home, *options, before=tuple(NO_MODULES), env=None):
    """It ends by itself: its status and what it says."""
    done = subprocess.run([*before, f"{home}/khttpctl", "serve", *options], stderr=subprocess.PIPE, timeout=PATIENCE,
                          check=False, encoding="utf-8", env=env)
    # Of no interest: how few descriptors whoever runs this may have
    return done.returncode, [line for line in done.stderr.splitlines() if "files may be open" not in line]


# --- which engine, and why ---------------------------------------------------------------------------------

def test_without_the_module_it_says_why_and_serves(serve, www):
    server = serve(www)
    assert body() == "one"
    why = "this process may not load it (it lacks CAP_SYS_MODULE)" if ROOT else "only root can load it"
    assert (f"khttpctl: serving {www} on http://127.0.0.1:{PORT}/ by khttpd-epoll: "
            f"the module is not loaded, and {why}") in server.messages().splitlines()
    assert server.count("serving") == 1
    server.interrupt()


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
def test_who_is_not_root_learns_what_root_could_do(serve, www):
    server = serve(www, before=AS_NOBODY)
    assert "by khttpd-epoll: the module is not loaded, and only root can load it" in server.messages()
    server.interrupt()


def test_engine_epoll_needs_no_reason(serve, www):
    server = serve("--engine=epoll", "--bind=127.0.0.1", www)
    assert f"serving {www} on http://127.0.0.1:{PORT}/ by khttpd-epoll\n" in server.messages()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", PORT), PATIENCE)
    server.interrupt()


def test_engine_kernel_without_the_module_is_an_error(home, www):
    status, said = fails(home, "--engine=kernel", www)
    assert (status, len(said)) == (1, 1)
    assert said[0].startswith("khttpctl: --engine=kernel: the module is not loaded, and ")
    assert is_free()


@pytest.mark.parametrize("options, why", [
    ([], "nothing to serve"),
    (["a", "b"], "more than one site"),
    (["--port=0", "."], '--port: "0" is not a number from 1 to 65535'),
    (["--port=80 x=1", "."], '--port: "80 x=1" is not a number'),
    (["--bind=:: port=1", "."], '--bind: ":: port=1" is no IP address'),
    (["--engine=xdp", "."], '--engine: "xdp" is none of auto, kernel, epoll'),
])
def test_wrong_options_are_named(home, options, why):
    status, said = fails(home, *options)
    assert status == 64
    assert why in said[0]


def test_nothing_there_is_an_error_and_no_server_starts(home, www):
    assert fails(home, f"{www}/nothing") == (1, [f"khttpctl: {www}/nothing: No such file or directory"])
    write(f"{www}/_redirects", "/a /b 399\n")
    status, said = fails(home, f"--port={PORT}", www)
    assert (status, len(said)) == (1, 1)
    assert f"{www}/_redirects:1: its status is not supported" in said[0]
    assert is_free()


def test_port_in_use_is_said_once(serve, home, www):
    serve(www)
    status, said = fails(home, f"--port={PORT}", www)
    said = [line for line in said if line.startswith("khttp")]  # the sanitizer may have words of its own
    assert (status, said) == (1, [f"khttpd-epoll: cannot listen on :: port {PORT}: Address already in use"])


def test_program_is_looked_for_beside_and_in_path(serve, home, www):
    with tempfile.TemporaryDirectory() as alone:
        shutil.copy(f"{home}/khttpctl", alone)
        env = {**os.environ, "PATH": "/usr/bin:/bin"}
        assert fails(alone, f"--port={PORT}", www, env=env) == (
            1, ['khttpctl: khttpd-epoll is neither beside khttpctl nor in PATH; "make epoll" builds it'])
        env["PATH"] = f"{home}:/usr/bin:/bin"
        server = Serve(alone, www, before=NO_MODULES, env=env)
        assert body() == "one"
        server.interrupt()


@pytest.mark.skipif(not ROOT, reason="only root can give files away")
def test_program_that_somebody_else_put_there_is_not_run(home, www):
    with tempfile.TemporaryDirectory() as alone:
        shutil.copy(f"{home}/khttpctl", alone)
        shutil.copy(f"{home}/khttpd-epoll", alone)
        os.chown(f"{alone}/khttpd-epoll", 65534, 65534)
        status, said = fails(alone, f"--port={PORT}", www, env={**os.environ, "PATH": "/usr/bin:/bin"})
        assert status == 1
        assert "neither beside khttpctl" in said[0]


def test_names_of_files_are_not_taken_for_what_the_server_says(serve, home, www):
    os.symlink("nothing", f"{www}/a: serving on b")
    status, said = fails(home, f"--port={PORT}", www)
    assert status == 1
    assert f"{www}/a: serving on b: " in said[0]
    assert not [line for line in said if line.startswith("khttpctl: serving")]
    os.remove(f"{www}/a: serving on b")
    server = serve("--watch", www)
    os.symlink("nothing", f"{www}/c: the site was read again")
    server.wait_for("khttpd-epoll: the old site goes on\n")
    assert f"{www}/c: the site was read again: " in server.messages()
    assert server.count(SWAP) == 0
    server.interrupt()


def test_children_of_who_became_khttpctl_are_not_its_own(serve, www):
    server = serve(www, before=[*NO_MODULES, "sh", "-c", 'sh -c "sleep 1; kill -9 \\$\\$" & exec "$@"', "sh"])
    until(lambda: len(children(server.process.pid)) == 1, server.messages)
    server.interrupt()
    assert "signal" not in server.messages()


# --- the site changes --------------------------------------------------------------------------------------

def test_changes_are_served(serve, www):
    """One swap for each, and then rest."""
    server = serve("--watch", www)
    with Client() as c:
        assert c.ask("GET", "/").body == b"one"
        server.write(f"{www}/index.html", "two", 1)
        assert c.ask("GET", "/").body == b"two"

        with server.looking_away():
            os.makedirs(f"{www}/a/b")
            write(f"{www}/a/b/c", "deep")
        server.wait_for(SWAP, 2)
        assert c.ask("GET", "/a/b/c").body == b"deep"
        server.write(f"{www}/a/b/c", "deeper", 3)
        assert c.ask("GET", "/a/b/c").body == b"deeper"

        os.rename(f"{www}/a", f"{www}/z")
        server.wait_for(SWAP, 4)
        assert c.ask("GET", "/a/b/c").status == 404
        server.write(f"{www}/z/b/c", "deepest", 5)
        assert c.ask("GET", "/z/b/c").body == b"deepest"

        os.remove(f"{www}/z/b/c")
        server.wait_for(SWAP, 6)
        assert c.ask("GET", "/z/b/c").status == 404
        os.utime(f"{www}/index.html", (0, 0))
        server.wait_for(SWAP, 7)
        assert c.ask("GET", "/").fields["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    time.sleep(1)
    assert server.count(SWAP) == 7, server.messages()
    server.interrupt()


def test_without_watch_only_hup_reads_the_site_again(serve, www):
    server = serve(www)
    write(f"{www}/index.html", "two")
    time.sleep(1)
    assert body() == "one"
    server.process.send_signal(signal.SIGHUP)
    server.wait_for(SWAP)
    assert body() == "two"
    server.interrupt()


def test_folder_that_was_moved_in_is_watched_and_one_moved_out_is_not(serve, www):
    server = serve("--watch", www)
    os.makedirs(f"{www}-aside/x")
    write(f"{www}-aside/x/f", "aside")
    os.rename(f"{www}-aside", f"{www}/in")
    server.wait_for(SWAP, 1)
    server.write(f"{www}/in/x/f", "inside", 2)
    assert body("/in/x/f") == "inside"
    os.rename(f"{www}/in", f"{www}-aside")
    server.wait_for(SWAP, 3)
    write(f"{www}-aside/x/f", "outside")
    time.sleep(1)
    assert server.count(SWAP) == 3
    server.interrupt()


def test_image_that_is_replaced_is_served(serve, www):
    image(f"{www}/A.img", "A")
    os.symlink("A.img", f"{www}/link.img")
    server = serve("--watch", f"{www}/link.img")
    assert body() == "A"
    image(f"{www}/A.img", "B")
    server.wait_for(SWAP, 1)
    assert body() == "B"
    # In place, and a bad one
    with open(f"{www}/A.img", "w", encoding="ascii") as f:
        f.write("no image")
    server.wait_for("the old site goes on")
    assert body() == "B"
    image(f"{www}/C.img", "C")
    os.symlink("C.img", f"{www}/new")
    os.rename(f"{www}/new", f"{www}/link.img")
    server.wait_for(SWAP, 2)
    assert body() == "C"
    # Of no interest: others in that folder
    write(f"{www}/other", "x")
    time.sleep(1)
    assert server.count(SWAP) == 2
    server.interrupt()


def test_image_that_looks_the_same_is_read_again(serve, www):
    """Written in place, in the same moment: only an event tells of it."""
    image(f"{www}/A.img", "A")
    image(f"{www}/B.img", "B")
    os.mkdir(f"{www}/links")
    os.symlink("../A.img", f"{www}/links/A.img")
    server = serve("--watch", f"{www}/links/A.img")
    assert body() == "A"
    st = os.stat(f"{www}/A.img")
    assert st.st_size == os.stat(f"{www}/B.img").st_size
    server.process.send_signal(signal.SIGSTOP)
    shutil.copyfile(f"{www}/B.img", f"{www}/A.img")
    os.utime(f"{www}/A.img", ns=(st.st_atime_ns, st.st_mtime_ns))
    server.process.send_signal(signal.SIGCONT)
    server.wait_for(SWAP)
    assert body() == "B"
    server.interrupt()


def test_release_links_are_followed(serve, www):
    """A link to the newest of several folders, in the site's path and in the site."""
    for n in "12":
        os.makedirs(f"{www}/{n}/www/.hidden/{n}")
        write(f"{www}/{n}/www/index.html", n)
        write(f"{www}/{n}/www/.hidden/{n}/f", n)
        write(f"{www}/{n}/www/.hidden/g", n)
        os.symlink(f".hidden/{n}", f"{www}/{n}/www/shown")
        os.symlink(".hidden/g", f"{www}/{n}/www/g")
    os.symlink("1", f"{www}/current")
    server = serve("--watch", f"{www}/current/www/")
    assert (body(), body("/shown/f"), body("/g")) == ("1", "1", "1")
    os.symlink("2", f"{www}/new")
    os.rename(f"{www}/new", f"{www}/current")
    server.wait_for(SWAP, 1)
    assert (body(), body("/shown/f"), body("/g")) == ("2", "2", "2")
    server.write(f"{www}/2/www/.hidden/2/f", "3", 2)
    assert body("/shown/f") == "3"
    server.write(f"{www}/2/www/.hidden/g", "4", 3)
    assert body("/g") == "4"
    # What is not packed is not watched: hidden folders that nothing leads to, and the old release
    write(f"{www}/2/www/.hidden/h", "5")
    write(f"{www}/2/www/.swp", "5")
    write(f"{www}/1/www/index.html", "5")
    time.sleep(1)
    assert server.count(SWAP) == 3
    server.interrupt()


def test_links_through_hidden_ones_are_followed(serve, www):
    """As ConfigMap volumes of Kubernetes have them: nobody watches what changes."""
    os.makedirs(f"{www}/.h/r1")
    os.makedirs(f"{www}/.h/r2")
    for n in "12":
        write(f"{www}/.h/v{n}", n)
        write(f"{www}/.h/r{n}/f", n)
    os.symlink("v1", f"{www}/.h/cur")
    os.symlink("r1", f"{www}/.h/now")
    os.symlink(".h/cur", f"{www}/file")
    os.symlink(".h/now", f"{www}/dir")
    server = serve("--watch", www)
    assert (body("/file"), body("/dir/f")) == ("1", "1")
    os.symlink("v2", f"{www}/.h/new")
    os.rename(f"{www}/.h/new", f"{www}/.h/cur")
    server.wait_for(SWAP, 1)
    assert (body("/file"), body("/dir/f")) == ("2", "1")
    os.symlink("r2", f"{www}/.h/new")
    os.rename(f"{www}/.h/new", f"{www}/.h/now")
    server.wait_for(SWAP, 2)
    assert body("/dir/f") == "2"
    server.write(f"{www}/.h/r2/f", "3", 3)
    assert body("/dir/f") == "3"
    time.sleep(1.5)
    assert server.count(SWAP) == 3, server.messages()
    server.interrupt()


def test_folders_that_links_lead_to_in_many_ways_are_walked_once(home, www):
    """Here 2 ** 40 ways. The server, which would have a path for each, does not come to that: it is none."""
    for n in range(40):
        os.mkdir(f"{www}/d{n}")
        for name in "ab" if n < 39 else "":
            os.symlink(f"../d{n + 1}", f"{www}/d{n}/{name}")
    with tempfile.TemporaryDirectory() as alone:
        shutil.copy(f"{home}/khttpctl", alone)
        write(f"{alone}/khttpd-epoll", "#!/bin/sh\nexit 3\n")
        os.chmod(f"{alone}/khttpd-epoll", 0o755)
        assert fails(alone, "--engine=epoll", "--watch", www) == (3, [])


def test_burst_of_changes_is_few_swaps(serve, www):
    server = serve("--watch", www)
    begin = time.monotonic()
    for n in range(200):
        write(f"{www}/{n}", f"{n}")
        os.makedirs(f"{www}/dir{n % 20}", exist_ok=True)
        write(f"{www}/dir{n % 20}/{n}", f"{n}")
    took = time.monotonic() - begin
    until(lambda: get("/dir19/199").body == b"199" and get("/199").body == b"199", server.messages)
    time.sleep(1)
    assert 1 <= server.count(SWAP) <= 2 + took, server.messages()
    server.interrupt()


def test_change_without_end_is_served_now_and_then(serve, www):
    """Every two seconds, although there is never a rest."""
    server = serve("--watch", www)
    rests = 0  # a machine that is busy makes some: each may be followed by a swap of its own
    begin = last = time.monotonic()
    while time.monotonic() < begin + 7:
        before = time.monotonic()
        write(f"{www}/index.html", "two")
        rests += time.monotonic() - last > 0.1
        last = before
        time.sleep(0.02)
    took = time.monotonic() - begin
    assert 2 <= server.count(SWAP) + server.count("old site goes on") <= took / 2 + rests, server.messages()
    server.wait_for(SWAP, server.count(SWAP) + 1)
    assert body() == "two"
    server.interrupt()


def test_bad_site_is_not_taken_and_the_next_good_one_is(serve, www):
    server = serve("--watch", www)
    write(f"{www}/index.html", "two")
    write(f"{www}/_redirects", "/a /b 399\n")
    server.wait_for("the old site goes on")
    assert f"{www}/_redirects:1: " in server.messages()
    assert body() == "one"
    os.remove(f"{www}/_redirects")
    server.wait_for(SWAP)
    assert body() == "two"
    server.interrupt()


def test_folder_that_goes_and_comes_again_is_found(serve, www):
    server = serve("--watch", www)
    shutil.rmtree(os.path.dirname(www))
    server.wait_for(f"{www} is gone; the old site goes on until it is back")
    time.sleep(1.5)
    assert body() == "one"
    assert server.count("is gone") == 1
    os.makedirs(www)
    write(f"{www}/index.html", "two")
    server.wait_for(SWAP)
    until(lambda: body() == "two", server.messages)
    write(f"{www}/index.html", "three")
    until(lambda: body() == "three", server.messages)
    server.interrupt()


@pytest.mark.parametrize("where, name", [("www", "."), ("", "www/"), ("", "./www"), ("www/a", ".."), ("www/a", "../.")])
def test_relative_name_is_found_again(serve, www, where, name):
    top = os.path.dirname(www)
    os.mkdir(f"{www}/a")
    server = serve("--watch", name, cwd=f"{top}/{where}")
    shutil.rmtree(top)
    server.wait_for("is gone; the old site goes on until it is back")
    os.makedirs(www)
    write(f"{www}/index.html", "two")
    server.wait_for(SWAP)
    until(lambda: body() == "two", server.messages)
    server.interrupt()


def test_lost_events_lose_no_change(serve, www):
    """The kernel's queue is full of what does not matter when something does."""
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as f:
        queue = int(f.read())
    if queue > 100000:
        pytest.skip(f"the queue takes {queue} events")
    server = serve("--watch", www)
    server.process.send_signal(signal.SIGSTOP)
    for _ in range(queue // 2):
        write(f"{www}/.hidden", "x")
        os.remove(f"{www}/.hidden")
    os.mkdir(f"{www}/new")
    write(f"{www}/new/f", "new")
    server.process.send_signal(signal.SIGCONT)
    server.wait_for(SWAP)
    assert body("/new/f") == "new"
    write(f"{www}/new/f", "newer")
    server.wait_for(SWAP, 2)
    assert body("/new/f") == "newer"
    server.interrupt()


def test_too_many_folders_are_an_error_that_says_what_to_raise(home, www):
    limited = ["unshare", "--user", "--map-root-user", "sh", "-c",
               'echo 20 >/proc/sys/user/max_inotify_watches && exec "$0" "$@"']
    if subprocess.run([*limited, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no user namespaces here")
    for n in range(30):
        os.mkdir(f"{www}/{n}")
    status, said = fails(home, f"--port={PORT}", "--engine=epoll", "--watch", www, before=limited)
    assert (status, len(said)) == (1, 1)
    assert "the kernel allows no more watches; raise the sysctl fs.inotify.max_user_watches" in said[0]


def test_swaps_lose_no_request(serve, www):
    server = serve("--watch", www)
    with Client() as c:
        n = 0
        while server.count(SWAP) < 10:
            if n % 50 == 0:
                write(f"{www}/{n}", "x")
            reply = c.ask("GET", "/")
            assert (reply.status, reply.body) == (200, b"one")
            n += 1
            time.sleep(0.005)
    server.interrupt()


# --- the end -----------------------------------------------------------------------------------------------

def test_term_to_the_one_ends_both(serve, www):
    server = serve("--watch", www)
    server.process.terminate()
    server.ended(0)


def test_ignored_signals_of_children_are_not_missed(serve, www):
    server = serve(www, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    server.interrupt()


def test_nobody_who_reads_its_messages_keeps_it_from_ending(home, www):
    with start([*NO_MODULES, f"{home}/khttpctl", "serve", f"--port={PORT}", "--watch", www],
               stderr=subprocess.PIPE, start_new_session=True) as process:
        fcntl.fcntl(process.stderr, F_SETPIPE_SZ, 4096)
        while b"serving" not in process.stderr.readline():
            pass
        for n in range(100):
            os.symlink("nothing", f"{www}/{'x' * 200}{n}")
        time.sleep(1.5)
        process.terminate()
        try:
            assert process.wait(timeout=PATIENCE) == 0
        finally:
            process.kill()
    until(is_free, lambda: "somebody still listens")


def test_end_lets_replies_end(serve, www):
    with open(f"{www}/large", "wb") as f:
        f.write(os.urandom(LARGE))
    server = serve(www)
    with Client(rcvbuf=8192) as c:
        c.send(request("GET", "/large"))
        time.sleep(0.3)
        os.killpg(server.process.pid, signal.SIGINT)
        assert len(c.response().body) == LARGE
    server.ended(0)


def test_who_asks_twice_does_not_wait(serve, www):
    with open(f"{www}/large", "wb") as f:
        f.write(os.urandom(LARGE))
    server = serve(www)
    c = Client(rcvbuf=8192)
    c.send(request("GET", "/large"))
    time.sleep(0.3)
    begin = time.monotonic()
    os.killpg(server.process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert server.process.poll() is None
    os.killpg(server.process.pid, signal.SIGINT)
    server.ended(0)
    assert time.monotonic() - begin < 8
    c.sock.close()


def test_server_does_not_outlive_a_killed_khttpctl(serve, www):
    server = serve(www)
    rest = children(server.process.pid)
    assert len(rest) == 1
    server.process.kill()
    server.process.wait()
    until(lambda: not is_there(rest[0]), lambda: "it is still there")
    assert is_free()


def test_death_of_the_server_is_the_end(serve, www):
    server = serve(www)
    os.kill(children(server.process.pid)[0], signal.SIGKILL)
    server.ended(128 + signal.SIGKILL)
    assert server.messages().endswith("khttpctl: khttpd-epoll was ended by signal 9 (Killed)\n")


def test_signals_at_the_start_are_not_too_early(serve, home, www):
    """Before the server has looked at its signals, SIGHUP would end it."""
    for n in range(10):
        server = serve(www, ready="")
        until(lambda pid=server.process.pid: children(pid), server.messages)
        for _ in range(n * 5):
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.003)
        server.wait_for("serving")
        assert body() == "one"
        server.process.terminate()
        server.ended(0)


def test_interrupt_at_the_start_ends_it(home, www):
    for delay in (0.05, 0.1, 0.2, 0.3):
        with start([*NO_MODULES, f"{home}/khttpctl", "serve", f"--port={PORT}", www],
                   stderr=subprocess.PIPE, start_new_session=True) as process:
            time.sleep(delay)
            os.killpg(process.pid, signal.SIGINT)
            # Before main() the default holds
            assert process.wait(timeout=PATIENCE) in (0, -signal.SIGINT), process.stderr.read()
            assert is_free()


def test_end_of_the_terminal_is_the_end(home, www):
    """SIGHUP, but not for reading the site again."""
    pid, terminal = pty.fork()
    if not pid:
        usual_signals()
        os.execvp("sh", ["sh", "-c", '"$@"; true', "sh", *NO_MODULES, f"{home}/khttpctl", "serve", f"--port={PORT}", www])
    said = b""
    while b"serving" not in said:
        said += os.read(terminal, 1000)
    assert body() == "one"
    os.close(terminal)
    os.waitpid(pid, 0)
    until(is_free, lambda: "somebody still listens")


def test_end_of_the_terminal_is_nothing_to_nohup(home, www):
    pid, terminal = pty.fork()
    if not pid:
        usual_signals()
        os.execvp("sh", ["sh", "-c", 'trap "" HUP; exec "$@" 2>"$0"', f"{www}-said", *NO_MODULES,
                         f"{home}/khttpctl", "serve", f"--port={PORT}", www])
    until(lambda: not is_free(), lambda: "nobody listens")
    os.close(terminal)
    time.sleep(1)
    assert body() == "one"
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0
    assert is_free()
