"""Given the response headers that a function asked for, when they are filtered, then only those arrive that
can do no harm, and those that cannot be sent at all are an error."""

from __future__ import annotations

import pytest

from gateway.headers import InvalidHeader, response_headers, valid_status

PREFIX = "/rest/services/4a1bf01e-0693-48c5-a52b-fc275205c1d8/"


def test_harmless_headers_are_sent() -> None:
    asked = [
        ("Content-Disposition", "attachment; filename=a.csv"),
        ("Content-Language", "de"),
        ("ETag", '"1"'),
        ("Last-Modified", "Tue, 24 Nov 2026 19:33:40 GMT"),
        ("Retry-After", "3"),
        ("X-Pages", "7"),
        ("X-Latin", "caf\xe9"),
    ]
    expected = [(name.lower().encode(), value.encode("latin-1")) for name, value in asked]
    assert response_headers(asked) == expected
    assert response_headers(asked, own_prefix=PREFIX) == expected


@pytest.mark.parametrize(
    "name",
    [
        "X-Accel-Redirect",
        "X-Accel-Buffering",
        "x-accel-anything",
        "X-Sendfile",
        "X-Lighttpd-Send-File",
        "X-Call-Id",
        "X-Forwarded-For",
        "X-Content-Type-Options",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Upgrade",
        "Trailer",
        "Server-Timing",
        "Date",
        "Server",
        "Link",
        "Keep-Alive",
        "Content-Encoding",
        "Cache-Control",
        "Content-Security-Policy",
        "Service-Worker-Allowed",
        "Clear-Site-Data",
        "NEL",
        "Report-To",
        "Alt-Svc",
        "Refresh",
        "Access-Control-Allow-Origin",
        "Strict-Transport-Security",
        "WWW-Authenticate",
    ],
)
def test_other_headers_are_left_out(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        assert response_headers([(spelling, "/internal/x")]) == []
        assert response_headers([(spelling, "/internal/x")], own_prefix=PREFIX) == []


def test_cookies_are_for_the_admin_only() -> None:
    cookies = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")]
    assert response_headers(cookies) == [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2")]
    assert response_headers(cookies, own_prefix=PREFIX) == []


@pytest.mark.parametrize(
    "location",
    [PREFIX, PREFIX + "v1/x/", PREFIX + "v1/x?y=https://evil/#z", "next", "a/b/", "?page=2", "#top", ""],
)
def test_a_tenant_may_redirect_to_its_own_functions(location: str) -> None:
    assert response_headers([("Location", location)], own_prefix=PREFIX) == [(b"location", location.encode())]


@pytest.mark.parametrize(
    "location",
    [
        *[
            "/",
            "/x",
            "//evil",
            "https://evil/",
            "HTTPS:evil",
            "javascript:alert(1)",
            "data:text/html,x",
            "../x",
            "a/../../x",
            "./../x",
        ],
        *["\\\\evil", "/\\evil", "%2e%2e/x", "a/%2e%2e/%2e%2e/x", "/rest/services/", "/rest/services/other/x"],
        *("\t//evil", " //evil", PREFIX[:-1], PREFIX + PREFIX, PREFIX.upper()),
        *(PREFIX + below for below in ("../x", "/evil", "a/./../../x", "%2e%2e/", "a\\..\\..", "x\xe9")),
    ],
)
def test_a_tenant_may_not_redirect_elsewhere(location: str) -> None:
    assert response_headers([("Location", location)], own_prefix=PREFIX) == []


@pytest.mark.parametrize("location", ["https://example.org/a?b", "/", "/docs", "../x"])
def test_the_admin_may_redirect_anywhere(location: str) -> None:
    assert response_headers([("Location", location)]) == [(b"location", location.encode())]


def test_a_header_that_can_come_only_once_does() -> None:
    asked = [("ETag", "1"), ("etag", "2"), ("X-A", "1"), ("x-a", "2"), ("Content-Type", "text/html")]
    assert response_headers(asked, media_type="text/plain") == [
        (b"etag", b"2"),
        (b"content-type", b"text/plain"),
        (b"x-a", b"1"),
        (b"x-a", b"2"),
    ]
    assert (b"content-type", b"text/html") in response_headers(asked)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A\r\nX-B", "1"),
        ("X-A\n", "1"),
        ("X A", "1"),
        ("X-A ", "1"),
        ("X-A:", "1"),
        ("X-\0", "1"),
        ("X-\xe9", "1"),
        ("", "1"),
        ("X-A", "1\r\nSet-Cookie: a=b"),
        ("X-A", "1\n"),
        ("X-A", "1\r"),
        ("X-A", "\0"),
        ("X-A", "\x1b[2J"),
        ("X-A", "\x7f"),
        ("X-A", "\u20ac"),
        ("X-A", "\u2028"),
        ("X-A", "\ud800"),
        ("Dropped-Anyway", "1\r\n"),
        ("X-A", "x" * 16 * 1024),
    ],
)
def test_what_cannot_be_sent_is_an_error(name: str, value: str) -> None:
    with pytest.raises(InvalidHeader, match="invalid header") as invalid:
        response_headers([(name, value)])
    assert str(invalid.value).isprintable()


def test_the_media_type_is_checked_too() -> None:
    with pytest.raises(InvalidHeader, match="content-type"):
        response_headers([], media_type="text/html\r\nX: y")


def test_headers_are_bounded_in_number() -> None:
    assert len(response_headers([("X-A", "1")] * 64)) == 64
    with pytest.raises(InvalidHeader, match="64"):
        response_headers([("X-A", "1")] * 65)


@pytest.mark.parametrize(
    ("status", "valid"), [(200, True), (599, True), (199, False), (101, False), (600, False), (999, False), (-1, False)]
)
def test_statuses(status: int, valid: bool) -> None:
    assert valid_status(status) is valid
