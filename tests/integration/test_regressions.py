# SPDX-License-Identifier: MIT OR GPL-2.0
"""Bugs that the suite let pass once; each test has its bug's name."""

import select
import time

import pytest

from client import Client, request, server_sockets


def test_buffered_head_that_needs_more_room_is_answered():
    """The reader had all bytes of the head and asked for room to decode the target: the engine
    gave it the room, read nothing more, and left the request to its time-out."""
    for padding in range(500, 1000, 50):  # around the first size of the buffer, 1 KiB
        head = request("GET", "/a%20" + "b" * 150, "X-Padding: " + "x" * padding)
        for cut in (1, len(head) // 2, len(head) - 1):
            with Client() as c:
                c.send(head[:cut])
                time.sleep(0.005)
                c.send(head[cut:])
                assert c.response().status == 404


@pytest.mark.parametrize("limit, early", [(40, 1), (2, 1), (2, None)])
def test_shed_connections_do_not_raise_the_cap(params, quiet, limit, early):
    """A connection that was shed stayed if the first byte of a request came in time, while a
    newcomer had taken its place: the number of connections grew with each round. And one that
    was shed while a whole request was being answered was shed again, for a second newcomer."""
    params.set(max_conns=limit, linger_timeout_ms=200)
    head = request()
    held = []
    try:
        for _ in range(8):
            for c in held:
                c.send(head[:early])
            fresh = [Client() for _ in range(40)]
            time.sleep(0.2)
            assert len(server_sockets()) <= limit + limit // 16 + 16
            for c, rest in [(c, head[len(head[:early]):]) for c in held] + [(c, head) for c in fresh]:
                try:
                    c.send(rest)
                except OSError:
                    pass  # shed or refused
            time.sleep(0.2)
            kept = []
            for c in held + fresh:
                try:
                    # Everybody gets something soon: a reply, the end or a reset
                    readable = select.select([c.sock], [], [], 5)[0]
                    alive = readable and c.response().status == 200 and not c.eof
                except (OSError, AssertionError):
                    alive = False
                if alive:
                    kept.append(c)
                else:
                    c.sock.close()
            held = kept
        assert held, "nobody was served"
        end = time.monotonic() + 5  # those that were shed leave when they have answered
        while (left := len(server_sockets())) > limit and time.monotonic() < end:
            time.sleep(0.05)
        assert left <= limit
    finally:
        for c in held:
            c.sock.close()


def test_shedding_frees_the_places_of_those_that_take_nothing(params, quiet):
    """A connection that took nothing of its replies was idle for the server; when it was shed it
    kept its place for the send time-out, and newcomers were refused. It may keep it for the linger
    time-out: of the 18 places of credit, newcomers in that time take 2 or 3."""
    limit, stuck = 40, 24
    params.set(max_conns=limit, linger_timeout_ms=200, send_timeout_ms=60000)
    held = []
    try:
        for _ in range(stuck):
            c = Client(rcvbuf=2048)
            held.append(c)
            c.send(request() * 20)
        for _ in range(limit - stuck):
            c = Client()
            held.append(c)
            c.send(request())
            assert c.response().status == 200
        time.sleep(0.5)
        assert len(server_sockets()) == limit
        for n in range(stuck):
            c = Client()
            held.append(c)
            c.send(request())
            assert c.response().status == 200, f"newcomer {n}"
            time.sleep(0.1)
    finally:
        for c in held:
            c.sock.close()
