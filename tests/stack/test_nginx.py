"""Given nginx with its configuration, when gateways refuse or die, then no request is sent twice; and it says whom
each request is from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack.nginx import SECRET, have_image, nginx
from tests.stack.upstream import Upstream, refused_port

pytestmark = pytest.mark.needs("docker")

METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"]
BODIES = ["PUT", "POST", "PATCH"]


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    have_image()


def test_what_was_sent_to_a_gateway_is_sent_to_no_other(tmp_path: Path) -> None:
    with Upstream(dying=True) as first, Upstream(dying=True) as second, nginx(tmp_path, first.port, second.port) as ask:
        for number, method in enumerate(METHODS):
            answer = ask.request(method, f"/{number}")
            assert answer.status_code == 502
            assert answer.json() == {
                "status": "the gateway went away under the request, which may have been carried out"
            }
            assert "retry-after" not in answer.headers
        for number, method in enumerate(BODIES, len(METHODS)):
            assert ask.request(method, f"/{number}", content=b"x" * 100_000).status_code == 502
        paths = [head.split()[1] for head in first.requests + second.requests]
        assert sorted(paths) == [f"/{number}".encode() for number in range(len(METHODS) + len(BODIES))]


def test_a_kept_connection_that_dies_is_no_excuse(tmp_path: Path) -> None:
    with Upstream() as upstream, nginx(tmp_path, upstream.port, upstream.port) as ask:
        assert ask.get("/1").status_code == 200
        upstream.dying = True
        assert {ask.get(f"/{number}").status_code for number in range(2, 6)} == {502}
        paths = [head.split()[1] for head in upstream.requests]
        assert len(paths) == len(set(paths)) == 5


@pytest.mark.parametrize("method", METHODS)
def test_a_gateway_that_takes_no_connection_is_passed_over(tmp_path: Path, method: str) -> None:
    with Upstream() as upstream, nginx(tmp_path, refused_port(), upstream.port) as ask:
        assert [ask.request(method, f"/{number}").status_code for number in range(6)] == [200] * 6
        paths = [head.split()[1] for head in upstream.requests]
        assert paths == [f"/{number}".encode() for number in range(6)]


@pytest.mark.parametrize("method", BODIES)
@pytest.mark.parametrize("size", [10, 500_000])
def test_a_body_is_never_sent_in_part(tmp_path: Path, method: str, size: int) -> None:
    with Upstream() as upstream, nginx(tmp_path, refused_port(), upstream.port) as ask:
        statuses = [ask.request(method, f"/{number}", content=b"x" * size).status_code for number in range(4)]
        # Of a PUT, nginx cannot send again what it has read of the body: its client has to.
        assert statuses == ([503, 200, 503, 200] if method == "PUT" else [200] * 4)
        assert len(upstream.requests) == statuses.count(200)


def test_without_any_gateway_nothing_was_carried_out(tmp_path: Path) -> None:
    with nginx(tmp_path, refused_port()) as ask:
        for method in METHODS:
            answer = ask.request(method, "/")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json() == {"status": "no gateway answers"}


def test_the_client_is_who_connects_to_nginx_whatever_he_says(tmp_path: Path) -> None:
    lies = [("X-Forwarded-For", "203.0.113.7"), ("X-Plugbay-Proxy", "guess"), ("X-Forwarded-For", "203.0.113.8")]
    with Upstream() as upstream, nginx(tmp_path, upstream.port) as ask:
        for method, path in (("GET", "/"), ("POST", "/"), ("GET", "/api/logs")):
            assert ask.request(method, path, headers=lies).status_code == 200
        for head in upstream.requests:
            lines = [line for line in head.decode().split("\r\n") if line.startswith(("X-Forwarded-For", "X-Plugbay"))]
            assert sorted(lines) == ["X-Forwarded-For: 127.0.0.1", f"X-Plugbay-Proxy: {SECRET}"]
