"""Given the path of a request as it was sent, when it is split, then there is one way to read it or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.request.path import BadPath, split

UUID = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"


@pytest.mark.parametrize(
    ("path", "owner", "segments"),
    [
        ("", None, []),
        ("/", None, []),
        ("/hello", None, ["hello"]),
        ("/hello/", None, ["hello"]),
        ("/v1/hello-world/a_b/1/", None, ["v1", "hello-world", "a_b", "1"]),
        ("/__dir__/", None, ["__dir__"]),
        ("/m/__directory__", None, ["m", "__directory__"]),
        (f"/{UUID}", UUID, []),
        (f"/{UUID}/", UUID, []),
        (f"/{UUID}/v1/hello/", UUID, ["v1", "hello"]),
        (f"/v1/{UUID}/", None, ["v1", UUID]),
        (f"/{UUID}/{UUID}/", UUID, [UUID]),
        (f"/{UUID.upper()}/x", None, [UUID.upper(), "x"]),
        (f"/{UUID.replace('-', '')}/x", None, [UUID.replace("-", ""), "x"]),
        ("/" + "x" * 128, None, ["x" * 128]),
        ("/x" * 103, None, ["x"] * 103),
    ],
)
def test_good_paths(path: str, owner: str | None, segments: list[str]) -> None:
    assert split(b"/rest/services" + path.encode()) == (owner, segments)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (b"/a/../b", "relative segment, '..' (byte 17)"),
        (b"/a/..", "relative segment, '..' (byte 17)"),
        (b"/./a", "relative segment, '.' (byte 15)"),
        (b"//a", "empty segment, // (byte 14)"),
        (b"/a//b", "empty segment, // (byte 16)"),
        (b"/a//", "empty segment, // (byte 16)"),
        (b"//", "empty segment, // (byte 14)"),
        (b"/a/%2e%2e/b", "'%' (byte 17 of the path)"),
        (b"/a%2fb", "'%' (byte 16 of the path)"),
        (b"/a%00", "'%' (byte 16 of the path)"),
        (b"/%61", "'%' (byte 15 of the path)"),
        (b"/a%5cb", "'%' (byte 16 of the path)"),
        (b"/a\\b", "'\\\\' (byte 16 of the path)"),
        (b"/a;x=y", "';' (byte 16 of the path)"),
        (b"/a\0", "byte 0x00 (byte 16 of the path)"),
        (b"/a\tb", "byte 0x09 (byte 16 of the path)"),
        (b"/a b", "' ' (byte 16 of the path)"),
        (b"/a\n", "byte 0x0a (byte 16 of the path)"),
        (b"/a/\n", "byte 0x0a (byte 17 of the path)"),
        (b"/a\x7f", "byte 0x7f (byte 16 of the path)"),
        ("/é".encode(), "byte 0xc3 (byte 15 of the path)"),
        ("/．．/a".encode(), "byte 0xef (byte 15 of the path)"),
        (b"/v1.2/a", "'v1.2' (byte 15) is not a slug: letters, digits, - and _"),
        (b"/a/b.c", "'b.c' (byte 17) is not a slug"),
        (b"/...", "'...' (byte 15) is not a slug"),
        (b"/a+b", "'a+b' (byte 15) is not a slug"),
        (b"/{" + UUID.encode() + b"}", "is not a slug"),
        (b"/urn:uuid:" + UUID.encode(), "is not a slug"),
    ],
)
def test_paths_with_another_reading_are_refused_saying_where(path: bytes, problem: str) -> None:
    with pytest.raises(BadPath) as refused:
        split(b"/rest/services" + path)
    assert refused.value.status == 400
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (b"/" + b"x" * 129, "128 characters"),
        (b"/x" * 104, "103 segments"),
        (b"/x" * 10_000, "4096 bytes"),
        ((b"/" + b"x" * 127) * 32, "4096 bytes"),
        (b"/" + b"x" * 65536, "4096 bytes"),
        (b"/" + b"/" * 65536, "4096 bytes"),
        (b"/" + b"%" * 65536, "4096 bytes"),
    ],
)
def test_long_paths_are_refused(path: bytes, problem: str) -> None:
    with pytest.raises(BadPath) as refused:
        split(b"/rest/services" + path)
    assert refused.value.status == 414
    assert problem in refused.value.problem


@given(st.lists(st.sampled_from([b"/", b"a", b"-", b"_", b".", b"%", b"2f", b"\\", b"\0", b"\xff", b"x" * 128])))
def test_a_path_is_either_what_its_segments_spell_or_refused(pieces: list[bytes]) -> None:
    path = b"/rest/services/" + b"".join(pieces)
    try:
        owner, segments = split(path)
    except BadPath as refused:
        assert refused.status in (400, 414)
        assert refused.problem.isprintable()
    else:
        assert owner is None
        assert b"/rest/services/" + "/".join(segments).encode() == (path[:-1] if pieces and path[-1:] == b"/" else path)
