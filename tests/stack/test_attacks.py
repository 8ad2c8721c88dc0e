"""Rows of the security requirements that need nginx in front: what it and the gateway might read differently."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.attacks.conftest import PLUGINS
from tests.attacks.test_input import EVIL_PATHS
from tests.attacks.wire import CHUNKED, JSON, Wire, canary, request
from tests.stack.stack import Stack
from tests.waiting import eventually

pytestmark = pytest.mark.needs("docker")

SLOW_CLIENTS = 300
UNREAD = {path for path in EVIL_PATHS if b"%00" in path or b"%zz" in path or path[-1:] == b"%" or len(path) > 8000}
"""Paths that nginx itself refuses: wrongly encoded, with a zero byte, or longer than its buffers."""


@pytest.fixture(scope="module", autouse=True)
def given(stack: Stack) -> Iterator[None]:
    """A module that gives back what it gets."""
    file = stack.plugins / "given.py"
    file.write_bytes((PLUGINS / "given.py").read_bytes())
    eventually(lambda: httpx.get(f"{stack.url}/rest/services/given/name/?name=x", timeout=30).status_code == 200, 30)
    yield
    file.unlink()


def said(stack: Stack, *parts: bytes) -> tuple[list[int], bytes]:
    """The statuses of all answers on one connection until nginx closes it, and all its bytes."""
    with Wire(stack.url) as wire:
        for part in parts:
            wire.send(part)
        data = b""
        with contextlib.suppress(ConnectionResetError):  # it closes on what it does not read
            while more := wire.socket.recv(65536):
                data += more
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", data, re.MULTILINE)], data


def test_i1_a_path_has_one_spelling_behind_nginx_too(stack: Stack) -> None:
    for path in sorted(set(EVIL_PATHS) - UNREAD):
        found, data = said(stack, request(path, b"Connection: close"))
        assert found in ([400], [401], [404], [414], [431]), (path[:100], data[:300])


def test_i1_what_nginx_cannot_read_is_refused_as_that(stack: Stack) -> None:
    for path in sorted(UNREAD):
        found, data = said(stack, request(path, b"Connection: close"))
        assert found in ([400], [414]), (path[:100], data[:300])
        assert data.endswith(b'"}'), data[-300:]


def test_i1_no_spelling_of_a_call_reaches_the_control_plane(stack: Stack) -> None:
    key = b"Authorization: Bearer " + stack.admin_key.encode()
    for path in (
        b"/rest/services/../../api/pools",
        b"/rest/..%2fapi/pools",
        b"//api/pools",
        b"/%61pi/pools",
        b"/API/pools",
    ):
        for headers in ((), (key,)):
            found, data = said(stack, request(path, *headers, b"Connection: close"))
            assert found in ([400], [401], [404]), (path, data[:300])
            assert b"runners" not in data


def test_i3_a_message_has_one_end(stack: Stack) -> None:
    """What is hidden behind a message of two readings is at most a request of its own, and never who comes next."""
    for headers in (
        (b"Content-Length: 5", CHUNKED),
        (CHUNKED, b"Content-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 50"),
        (b"Content-Length: +5",),
        (b"Content-Length: 5,5",),
        (b"Content-Length : 5",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Transfer-Encoding:\x0bchunked",),
        (b"Transfer_Encoding: chunked", b"Content-Length: 0"),
    ):
        start = request(b"/rest/services/given/all/", JSON, *headers, method=b"POST")
        found, data = said(stack, start + b"0\r\n\r\n" + canary(b"smuggled"))
        assert found, headers
        assert set(found) <= {200, 400, 413, 501}, (headers, data[:300])
        found, data = said(stack, canary(b"next"))
        assert found == [200]
        assert data.endswith(b'{"status":"OK","response":{"name":"next"}}')


def test_i7_slow_headers_are_given_up_and_others_served(stack: Stack) -> None:
    wires = [Wire(stack.url) for _ in range(SLOW_CLIENTS)]
    for wire in wires:
        wire.send(b"G")
    began = time.monotonic()
    with httpx.Client(timeout=30) as good:
        while time.monotonic() - began < 11:
            assert good.get(f"{stack.url}/rest/services/given/name/?name=good").json()["response"] == {"name": "good"}
            time.sleep(0.05)
    for wire in wires:
        assert all(answer.status in (400, 408) for answer in wire.rest())
        wire.socket.close()


def test_i22_a_function_has_nothing_to_say_to_the_proxy(stack: Stack) -> None:
    headers = [
        ("X-Accel-Redirect", "/etc/hostname"),
        ("X-Accel-Buffering", "no"),
        ("X-Accel-Limit-Rate", "1"),
        ("X-Sendfile", "/etc/passwd"),
        ("X-Harmless", "yes"),
    ]
    answer = httpx.post(f"{stack.url}/rest/services/given/respond/", json={"headers": headers}, timeout=30)
    assert (answer.status_code, answer.text) == (200, "the whole body")
    assert answer.headers["x-harmless"] == "yes"
    assert not {name.lower() for name, _ in headers[:-1]} & set(answer.headers)
