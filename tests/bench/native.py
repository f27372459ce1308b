# SPDX-License-Identifier: MIT OR GPL-2.0
"""scripts/bench --native: khttpd-epoll against nginx on this machine, one thread and one worker on the same CPU."""

import collections
import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from tables import TOP, die, number, table, verdict

BENCH = f"{TOP}/tests/bench"
EPOLL = f"{TOP}/build/khttpd-epoll"
HTTPC = f"{TOP}/build/vm-tools/httpc"
NGINX = f"{TOP}/build/bench/guest/usr/sbin/nginx"
LARGE = 1 << 20

# Case -> arguments of wrk; their titles are in scripts/bench
CASES = {
    "keepalive": ["-c32", "-s", f"{BENCH}/report.lua"],
    "pipeline": ["-c32", "-s", f"{BENCH}/pipeline.lua"],
    "close": ["-c32", "-s", f"{BENCH}/report.lua", "-H", "Connection: close"],
    "large1m": ["-c8", "-s", f"{BENCH}/report.lua"],
}
# What was promised: requests/s against nginx, at least
TARGETS = {"keepalive": 1.2, "pipeline": 3.0, "large1m": 1.0}
# Cases whose instructions and system calls are counted, and how many requests one write carries; 0: a connection each
COUNTED = {"keepalive": 1, "pipeline": 16, "close": 0}
IDLE = 10000
# A run counts as undisturbed while others take less than this share of the CPUs; for as many pairs as were asked
# for, up to three times as many are run
QUIET = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


# --- what it takes -----------------------------------------------------------------------------------------


def prepare():
    """Build ours, and take nginx out of the image that the virtual machines boot: the same program, and no service."""
    subprocess.run([f"{TOP}/scripts/setup", "--only", "host", "--only", "guest"], check=True)
    subprocess.run(
        ["make", "-s", "-C", TOP, "epoll", "build/vm-tools/httpc"], check=True, stdout=subprocess.DEVNULL
    )
    for program in ("valgrind", "strace"):
        if not shutil.which(program):
            die(f"{program} is missing: apt-get install --no-install-recommends {program}")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", "/root"), ".cache")
    image, folder = f"{cache}/khttpd/guest.sqfs", f"{TOP}/build/bench/guest"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    subprocess.run(
        ["unsquashfs", "-q", "-n", "-d", folder, image, "usr/sbin/nginx"], check=True, stdout=subprocess.DEVNULL
    )
    if subprocess.run([NGINX, "-v"], stderr=subprocess.DEVNULL, check=False).returncode:
        die(f"nginx does not run here: ldd {NGINX} says which libraries it lacks")


def enter_namespace():
    """Go on in a network namespace of our own where we may, so that nobody else's ports, rules or packets count."""
    if os.environ.get("KHTTPD_IN_NETNS"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    prepare()
    if os.geteuid() == 0 and not subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        os.environ["KHTTPD_IN_NETNS"] = "1"
        sys.stdout.flush()
        os.execvp("unshare", ["unshare", "-n", "--", sys.executable, *sys.argv])


# --- servers -----------------------------------------------------------------------------------------------


class Engine:
    """How to start a server, and where it answers; the ports are those of nginx.conf."""

    name = ""
    ports = {"small": 0, "large": 0}
    paths = {"small": "", "large": ""}

    def __init__(self, folder):
        self.folder = folder

    def command(self, counted):
        raise NotImplementedError

    def url(self, kind):
        return f"http://127.0.0.1:{self.ports[kind]}{self.paths[kind]}"


class Nginx(Engine):
    name = "nginx"
    ports = {"small": 8083, "large": 8084}
    paths = {"small": "/p", "large": f"/{LARGE}"}

    def command(self, counted):
        # Without a master, which would only wait, the process that we start is the worker
        return [NGINX, "-p", self.folder, "-c", f"{BENCH}/nginx.conf", "-g", "daemon off; master_process off;"]


class Epoll(Engine):
    name = "epoll"
    ports = {"small": 8087, "large": 8087}
    paths = {"small": "/", "large": "/large.bin"}

    def command(self, counted):
        command = [EPOLL, "--threads=1", "--port=8087", f"--debug-large={LARGE}", "--idle_timeout_ms=3600000"]
        # valgrind makes system calls of its own
        text = subprocess.run([EPOLL, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        return command + (["--seccomp=off"] if counted and "--seccomp" in text else [])


@contextlib.contextmanager
def serving(engine, cpu, prefix=()):
    """The server of an engine, pinned; @prefix is a program that watches it. Yields its process id."""
    for port in set(engine.ports.values()):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                die(f"port {port} is in use; as root this runs in a network namespace of its own")
    log = f"{engine.folder}/{engine.name}.log"
    command = ["taskset", "-c", str(cpu), *prefix, *engine.command(bool(prefix))]
    with open(log, "w", encoding="utf-8") as errors, subprocess.Popen(command, stderr=errors) as process:
        try:
            end = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", engine.ports["large"]), 1).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > end:
                        with open(log, encoding="utf-8") as f:
                            die(f"{engine.name} does not start: {f.read()}")
                    time.sleep(0.05)
            # taskset becomes the program; strace has it as a child
            pid = process.pid
            if prefix and prefix[0] == "strace":
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                    pid = int(f.read().split()[0])
            yield pid
            # nginx misses a signal that comes between its look at the flag and epoll_wait()
            for _ in range(30):
                os.kill(pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
                    break
            else:
                die(f"{engine.name} does not end")
        finally:
            process.kill()
    if process.returncode:
        with open(log, encoding="utf-8") as f:
            die(f"{engine.name} ended with status {process.returncode}: {f.read()}")


def fetch(engine, kind):
    with urllib.request.urlopen(engine.url(kind), timeout=10) as reply:
        return reply.read()


def check(engine, kind, page):
    body = fetch(engine, kind)
    if (kind == "small" and body != page) or (kind == "large" and len(body) != LARGE):
        die(f"{engine.name}: {engine.url(kind)} gave something else")


# --- requests and CPU time -----------------------------------------------------------------------------------


def cpu_of(pid):
    """User and system seconds of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def busy(cpus):
    """Seconds that these CPUs, together, were not idle or not ours."""
    total = 0
    with open("/proc/stat", encoding="ascii") as f:
        for line in f:
            name, *fields = line.split()
            if name in cpus:
                user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
                total += user + nice + system + irq + softirq + steal
    return total / TICKS


def run_wrk(engine, pid, case, seconds, cpus):
    """One run: requests/s, the server's CPU seconds per request, how busy it and others were."""
    kind = "large" if case == "large1m" else "small"
    wrk = cpus[1:]
    command = ["taskset", "-c", ",".join(map(str, wrk)), "wrk", f"-t{len(wrk)}", f"-d{seconds}s", *CASES[case]]
    command.append(engine.url(kind))
    names = {f"cpu{cpu}" for cpu in cpus}
    all_before, wrk_before = busy(names), resource.getrusage(resource.RUSAGE_CHILDREN)
    before, start = cpu_of(pid), time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    after, span = cpu_of(pid), time.monotonic() - start
    wrk_after, all_after = resource.getrusage(resource.RUSAGE_CHILDREN), busy(names)
    match = re.search(r"^totals (\d+) (\d+) (\d+)$", result.stdout, re.M)
    if result.returncode or not match:
        die(f"wrk failed: {result.stdout}{result.stderr}")
    requests, us, errors = map(int, match.groups())
    if errors or not requests:
        die(f"{engine.name}, {case}: {requests} requests and {errors} errors; the figures are worth nothing")
    user, system = after[0] - before[0], after[1] - before[1]
    wrk = wrk_after.ru_utime + wrk_after.ru_stime - wrk_before.ru_utime - wrk_before.ru_stime
    return {
        "requests_per_s": requests * 1e6 / us,
        "user_us": user * 1e6 / requests,
        "system_us": system * 1e6 / requests,
        "busy": (user + system) / span,
        "client_busy": wrk / span,
        "others": max(0, all_after - all_before - user - system - wrk) / span / len(names),
    }


def race(engines, case, args, cpus, page):
    """Pairs of runs, whose order changes from pair to pair; those that others disturbed least."""
    pairs = []
    with contextlib.ExitStack() as stack:
        pids = {engine.name: stack.enter_context(serving(engine, cpus[0])) for engine in engines}
        for engine in engines:
            check(engine, "large" if case == "large1m" else "small", page)
        while len(pairs) < 3 * args.pairs and sum(disturbance(p) < QUIET for p in pairs) < args.pairs:
            pair = {}
            for engine in engines if len(pairs) % 2 == 0 else engines[::-1]:
                run = pair[engine.name] = run_wrk(engine, pids[engine.name], case, args.seconds, cpus)
                text = f"{run['requests_per_s']:10,.0f} requests/s, {run['user_us'] + run['system_us']:8.2f} us of CPU"
                text += f", others {run['others']:4.0%}"
                print(f"  {case:12} {engine.name:8} {len(pairs) + 1:3} {text}", file=sys.stderr, flush=True)
            pairs.append(pair)
    ran = len(pairs)
    # The choice does not look at what is measured
    pairs = sorted(pairs, key=disturbance)[: args.pairs]

    def median(name, key):
        return statistics.median(pair[name][key] for pair in pairs)

    return {
        "ratio": spread([p["epoll"]["requests_per_s"] / p["nginx"]["requests_per_s"] for p in pairs]),
        # What the server's CPU would give if the client did not limit it
        "cpu_ratio": spread(
            [
                (p["nginx"]["user_us"] + p["nginx"]["system_us"]) / (p["epoll"]["user_us"] + p["epoll"]["system_us"])
                for p in pairs
            ]
        ),
        "others": spread([disturbance(p) for p in pairs]),
        "pairs_run": ran,
        **{e.name: {key: round(median(e.name, key), 3) for key in pairs[0][e.name]} for e in engines},
        "pairs": [{name: {k: round(v, 3) for k, v in run.items()} for name, run in p.items()} for p in pairs],
    }


def disturbance(pair):
    return max(run["others"] for run in pair.values())


def spread(values):
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


# --- memory ------------------------------------------------------------------------------------------------


def memory_of(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        text = f.read()
    return {key: 1024 * int(re.search(rf"^{key}:\s*(\d+) kB", text, re.M)[1]) for key in ("Rss", "Pss")}


def crowd(engine, cpus, n):
    """Memory of the server with @n idle connections that have had one reply each."""
    with serving(engine, cpus[0]) as pid:
        fetch(engine, "small")
        before = memory_of(pid)
        command = ["taskset", "-c", str(cpus[1]), HTTPC, "idle", "-p", str(engine.ports["small"])]
        command += ["-f", engine.paths["small"], "-n", str(n)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
            line = clients.stdout.readline()
            if f"complete={n} " not in line + " ":
                die(f"{engine.name} does not hold {n} connections: {line}")
            after = memory_of(pid)
            clients.stdin.close()
            line = clients.stdout.readline()
            if "closed_at_once=0 " not in line:
                die(f"{engine.name} closed connections: {line}")
    return {"before": before, "with": after, "each": round((after["Pss"] - before["Pss"]) / n)}


# --- instructions and system calls ---------------------------------------------------------------------------


def read_reply(engine, sock, left):
    """Read so many bytes; or a head, and how many bytes there are with its body."""
    data = b""
    while not left or len(data) < left:
        part = sock.recv(min(left - len(data), 1 << 20) if left else 65536)
        if not part:
            die(f"{engine.name} closed the connection")
        data += part
        head, end, _ = data.partition(b"\r\n\r\n")
        if not left and end:
            left = len(head) + 4 + int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head)[1])
    return left


def ask(engine, requests, depth):
    """So many requests one after the other, on one connection and @depth of them in each write, or on one each."""
    address = ("127.0.0.1", engine.ports["small"])
    request = f"GET {engine.paths['small']} HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\n"
    if not depth:
        request = (request + "Connection: close\r\n\r\n").encode()
        for _ in range(requests):
            with socket.create_connection(address, 60) as sock:
                sock.sendall(request)
                read_reply(engine, sock, 0)
                if sock.recv(1):
                    die(f"{engine.name} sent more than a reply")
        return
    request = (request + "\r\n").encode()
    with socket.create_connection(address, 60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(request)
        length = read_reply(engine, sock, 0)
        for _ in range(requests // depth):
            sock.sendall(request * depth)
            read_reply(engine, sock, length * depth)


def instructions(engine, cpus, requests, depth):
    """What callgrind counted in the whole life of a server, and its file."""
    out = f"{engine.folder}/callgrind.{requests}"
    with serving(engine, cpus[0], ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]):
        ask(engine, requests, depth)
    with open(out, encoding="utf-8", errors="replace") as f:
        return int(re.search(r"^(?:totals|summary): (\d+)", f.read(), re.M)[1]), out


def by_function(out):
    command = ["callgrind_annotate", "--auto=no", "--threshold=100", "--show-percs=no", out]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    functions = collections.Counter()
    for n, name in re.findall(r"^ *([\d,]+)  \S*?:(\S+) ", text, re.M):
        functions[name] += int(n.replace(",", ""))
    return functions


def system_calls(engine, cpus, requests, depth):
    out = f"{engine.folder}/strace"
    with serving(engine, cpus[0], ["strace", "-f", "-c", "-U", "calls,name", "-o", out]):
        ask(engine, requests, depth)
    calls = collections.Counter()
    with open(out, encoding="ascii") as f:
        for line in f:
            match = re.match(r"\s*(\d+) (\w+)\s*$", line)
            if match and match[2] != "total":
                calls[match[2]] += int(match[1])
    return calls


def count(engine, cpus, case, args):
    """Instructions in user space and system calls per request: the difference of a long and a short run."""
    depth = COUNTED[case]
    few, many = (160, 480) if args.quick else (800, 4800)
    first, short = instructions(engine, cpus, few, depth)
    second, out = instructions(engine, cpus, many, depth)
    calls = system_calls(engine, cpus, many, depth)
    calls.subtract(system_calls(engine, cpus, few, depth))
    # Calls of a time-out that struck in one run and not in the other are not the requests'
    each = {name: round(n / (many - few), 3) for name, n in calls.most_common() if n >= 0.01 * (many - few)}
    if args.profile:
        functions = by_function(out)
        functions.subtract(by_function(short))
        print(f"\n{engine.name}'s instructions in user space per request by function, {args.names[case]}:\n")
        for name, n in functions.most_common(40):
            print(f"{n / (many - few):10.1f}  {name}")
    result = round((second - first) / (many - few))
    print(f"  {case:12} {engine.name:8} {result:6,} instructions", file=sys.stderr, flush=True)
    return {"instructions": result, "system_calls": each}


# --- all of it -----------------------------------------------------------------------------------------------


def machine(cpus):
    model = "unknown"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    wrk = ", ".join(map(str, cpus[1:]))
    return f"{model}, Linux {os.uname().release}; the server on CPU {cpus[0]}, wrk on CPU {wrk}"


def judge(results):
    out = []
    for case, limit in TARGETS.items():
        if case in results["cases"]:
            value = results["cases"][case]["ratio"]["median"]
            text = "requests/s against nginx, at least"
            out.append({"case": case, "target": text, "limit": limit, "value": value, "met": value >= limit})
    return out


def measure(args):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        die("--native needs two CPUs: one for the server, one for wrk")
    # A second CPU for wrk, where there is one, so that the server is what limits them
    cpus = cpus[:3]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    n = 1000 if args.quick else IDLE
    if hard != resource.RLIM_INFINITY and hard < n + 200:
        die(f"a process may open only {hard} files; {n} idle connections need {n + 200} (ulimit -H -n)")
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="khttpd-bench.") as folder:
        os.mkdir(f"{folder}/www")
        engines = [Nginx(folder), Epoll(folder)]
        with serving(engines[1], cpus[0]):
            page = fetch(engines[1], "small")
        with open(f"{folder}/www/p", "wb") as f:
            f.write(page)
        with open(f"{folder}/www/{LARGE}", "wb") as f:
            f.write(os.urandom(LARGE))
        results = {
            "cases": {case: race(engines, case, args, cpus, page) for case in args.cases},
            "counts": {
                case: {engine.name: count(engine, cpus, case, args) for engine in engines}
                for case in args.cases
                if case in COUNTED
            },
            "idle": n,
            "memory": {engine.name: crowd(engine, cpus, n) for engine in engines},
            "page_bytes": len(page),
            "versions": {
                "nginx": version([NGINX, "-v"], r"nginx/\S+"),
                "wrk": version(["wrk", "-v"], r"wrk \S+"),
                "valgrind": version(["valgrind", "--version"], r"valgrind-\S+"),
            },
            "machine": machine(cpus),
        }
    return results


def version(command, pattern):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return re.search(pattern, result.stdout + result.stderr)[0]


def markdown(args, info, results, verdicts):
    def of(spread_, digits=2):
        return f"{spread_['median']:.{digits}f}", f"{spread_['min']:.{digits}f} .. {spread_['max']:.{digits}f}"

    text = "# khttpd-epoll against nginx\n\n"
    text += f"`{info['command']}` at commit {info['commit']}. {results['machine']}.\n"
    versions = results["versions"]
    text += f"{versions['nginx']}, {versions['wrk']}, {versions['valgrind']}. One thread, one worker; loopback.\n"
    text += f"Small replies carry {results['page_bytes']} bytes of content.\n\n"
    text += f"Requests per second, medians of {args.pairs} pairs of runs of {args.seconds} s in turns; in brackets how busy\n"
    text += "server and wrk were:\n\n"
    rows = []
    for case, row in results["cases"].items():
        cells = [
            f"{row[e]['requests_per_s']:,.0f} ({row[e]['busy']:.0%}, {row[e]['client_busy']:.0%})"
            for e in ("nginx", "epoll")
        ]
        others = f"{row['others']['median']:.0%}, {row['others']['max']:.0%}"
        rows.append([args.names[case], *cells, *of(row["ratio"]), others, str(row["pairs_run"])])
    text += table(["", "nginx", "epoll", "epoll / nginx", "min .. max", "others: median, max", "pairs run"], rows)
    text += "\nMicroseconds of the server's CPU time per request, user + system, and requests per second of CPU time:\n\n"
    rows = []
    for case, row in results["cases"].items():
        cells = [f"{row[e]['user_us']:.2f} + {row[e]['system_us']:.2f}" for e in ("nginx", "epoll")]
        rows.append([args.names[case], *cells, *of(row["cpu_ratio"])])
    text += table(["", "nginx", "epoll", "epoll / nginx", "min .. max"], rows)
    if results["counts"]:
        text += "\nInstructions in user space per request (callgrind), and system calls (strace), one connection at a time:\n\n"
        rows = []
        for case, row in results["counts"].items():
            for e in ("nginx", "epoll"):
                calls = ", ".join(f"{n:g} {name}" for name, n in row[e]["system_calls"].items())
                each = sum(row[e]["system_calls"].values())
                rows.append([f"{args.names[case]}, {e}", number(row[e]["instructions"]), f"{each:.2f}", calls])
        rows = [[r[0].replace(", 32 connections", ""), *r[1:]] for r in rows]
        text += table(["", "instructions", "system calls", "of these"], rows)
    text += f"\nMemory of the process with {results['idle']:,} idle connections that have had a reply each:\n\n"
    rows = []
    for e, row in results["memory"].items():
        cells = [f"{row[w][k] / 1024:,.0f} KiB" for k in ("Rss", "Pss") for w in ("before", "with")]
        rows.append([e, *cells, f"{row['each']:,} B"])
    text += table(["", "RSS without", "RSS with", "PSS without", "PSS with", "each"], rows)
    if verdicts:
        text += "\nTargets:\n\n"
        rows = [
            [args.names[v["case"]], v["target"], number(v["limit"]), number(v["value"]), verdict(v)] for v in verdicts
        ]
        text += table(["case", "target", "limit", "measured", ""], rows)
    text += """
How to read this:

* Real time on a real machine: caches, system calls and mitigations are in it, and so is whatever else the machine did.
  The ratio is that of the two runs of a pair, which follow each other. "Others" is what other tasks, and other users of
  the host, took of those CPUs; where that was 5 % or more pairs were run again, up to three times as many, and those
  that were disturbed least count.
* Where the server is not busy all the time, wrk is what limits it; then requests per second of the server's CPU time say
  more of what it could do, though a server that waits now and then pays for waking up.
* The processor's time is that of the process, from /proc. With loopback a server's part has the client's TCP input, too.
* nginx is at its best for each case (tests/bench/nginx.conf, as in bench-6.1.md), and the same program as there. It runs
  without a master process, which would only wait.
* Instructions and system calls are the difference between a run of many requests and one of few, so that start and end
  do not count. They are without noise, but without the kernel's part; bench-6.1.md has all instructions of both.
* Sockets cost the kernel the same for both and are not in the memory shown; nginx allots its 11,000 connections when it
  starts.
"""
    return text
