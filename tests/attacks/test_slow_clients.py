"""Clients that take their time, or all connections there are: they are closed, and others are served."""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.attacks.alive import Attacker, surviving
from tests.attacks.conftest import PLUGINS
from tests.attacks.wire import Wire, request, statuses
from tests.embedded.server import Embedded, running

CLIENTS = 200
PING = request(b"/rest/services/ping/ping/")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("slow")
    with running(PLUGINS, folder / "data", HEADER_SECS=1, BODY_SECS=1, WRITE_SECS=1, KEEPALIVE_SECS=2) as server:
        yield server


@contextmanager
def open_files(soft: int | None) -> Iterator[None]:
    """How many files this process and those it starts may open; None: as many as the system allows."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft or hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@pytest.fixture
def many(attacker: Attacker) -> Iterator[list[Wire]]:
    """CLIENTS connections."""
    with open_files(None):
        wires = [Wire(attacker.url) for _ in range(CLIENTS)]
        yield wires
        for wire in wires:
            wire.socket.close()


def trickle(wires: list[Wire], data: bytes) -> None:
    """Each sends one byte after the other, until all of them have been answered or closed."""
    left = {wire.socket: wire for wire in wires}
    place = 0
    while left:
        for wire in left.values():
            wire.send(data[place % len(data) :][:1])
        place += 1
        for closed in select.select(list(left), [], [], 0.1)[0]:
            del left[closed]


def test_i7_headers_have_a_deadline(many: list[Wire]) -> None:
    for wire in many:
        wire.send(PING[:-2])
    trickle(many, b"X: y\r\n")
    assert {tuple(statuses(wire.rest())) for wire in many} <= {(408,), ()}


def test_i7_a_connection_that_sends_nothing_is_closed(many: list[Wire]) -> None:
    assert {tuple(statuses(wire.rest())) for wire in many} == {()}


def test_i8_bodies_have_a_deadline(many: list[Wire]) -> None:
    for wire in many:
        wire.send(request(b"/rest/services/given/all/", b"Content-Length: 100000", method=b"POST"))
    trickle(many, b" ")
    assert {tuple(statuses(wire.rest())) for wire in many} <= {(408,), ()}


def test_i3_a_chunk_that_never_comes_is_waited_for_no_longer_than_a_body(attacker: Attacker) -> None:
    start = request(b"/rest/services/given/all/", b"Transfer-Encoding: chunked", method=b"POST")
    for size in (b"ffffffffffffffff", b"7fffffffffffffff", b"fffffff"):
        assert statuses(attacker.exchange(start + size + b"\r\n{}")) == [408]


def test_i9_answers_that_are_not_read_are_given_up(attacker: Attacker, many: list[Wire]) -> None:
    size = 2_000_000
    main = psutil.Process(attacker.server.process.pid)
    before = main.memory_info().rss
    for wire in many:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(request(b"/rest/services/given/large/?size=%d" % size))
    most = 0
    while main.num_fds() > CLIENTS:
        most = max(most, main.memory_info().rss)
    assert most < before + 2 * CLIENTS * size


def test_i27_idle_connections_are_closed(many: list[Wire]) -> None:
    for wire in many:
        wire.send(PING)
    assert {answer.status for wire in many if (answer := wire.answer())} == {200}
    assert {wire.answer() for wire in many} == {None}


def test_i7_connections_above_the_bound_are_told_so_and_leave_the_platform_its_files(tmp_path: Path) -> None:
    with (
        open_files(256),
        running(PLUGINS, tmp_path / "data", MAX_CONNECTIONS=400) as server,
        surviving(server) as attacker,
        open_files(None),
    ):
        attacker.pings.allowed.add(503)
        wires = [Wire(server.url) for _ in range(450)]
        try:
            for wire in wires[:380]:
                wire.send(PING)
            assert {answer.status for wire in wires[:380] if (answer := wire.answer())} == {200}
            told = [answer for wire in wires[-40:] if (answer := wire.answer())]
            assert {(answer.status, answer.headers["retry-after"]) for answer in told} == {(503, "1")}
        finally:
            for wire in wires[380:]:
                wire.socket.close()
        assert attacker.api("PUT", "/pools/admin", json={"size": 2}).status_code == 200
        for wire in wires:
            wire.socket.close()
        attacker.api("PUT", "/pools/admin", json={"size": 1})
