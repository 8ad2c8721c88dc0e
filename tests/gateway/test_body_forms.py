"""Given a query or an urlencoded form, when it is read, then names have the values that were written, or it
is refused saying where."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bad_request import BadRequest
from gateway.request.form import decode_pairs
from tests.gateway.bodies import FORM, MB, plain, read, refused


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"", {}),
        (b"a=1&b=two", {"a": "1", "b": "two"}),
        (b"a=1&a=2&b=3&a=4", {"a": ["1", "2", "4"], "b": "3"}),
        (b"a&b=&=c&&d=e=f", {"a": "", "b": "", "": "c", "d": "e=f"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"%61+=%C3%A9&a+=2", {"a ": ["\xe9", "2"]}),
        (b"a=%3D%26%25&b=%", None),
        ("a=é".encode(), {"a": "\xe9"}),
        (b"a=%0d%0A%1b%E2%80%A8", {"a": "\r\n\x1b\u2028"}),
        (b"a=%00", {"a": "\0"}),
        (b"a[]=1&a[]=2&b.c=3&__d=4&e__=5", {"a[]": ["1", "2"], "b.c": "3", "__d": "4", "e__": "5"}),
    ],
)
def test_pairs(data: bytes, fields: object) -> None:
    if fields is None:
        with pytest.raises(BadRequest):
            decode_pairs(data, "query", 10, 414)
    else:
        assert decode_pairs(data, "query", 10, 414) == fields
        if data:
            assert plain(read(data, FORM)) == fields


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a=%", "two hexadecimal digits (byte 2)"),
        (b"a=1&b=%4", "two hexadecimal digits (byte 6)"),
        (b"a=%zz", "two hexadecimal digits (byte 2)"),
        (b"a=%+1", "two hexadecimal digits (byte 2)"),
        (b"a=1&b=%ff", "field 2 of the form is not UTF-8"),
        (b"a=%C3", "field 1 of the form is not UTF-8"),
        (b"a=%ED%A0%80", "field 1 of the form is not UTF-8"),
        (b"%ff=a", "field 1 of the form is not UTF-8"),
        (b"a=\xff", "field 1 of the form is not UTF-8"),
        (b"a%00=1", "a name cannot contain NUL"),
        (b"a\0=1", "a name cannot contain NUL"),
        (b"__class__=1", "'__class__': names that begin and end with __"),
        (b"%5f_class__=1", "'__class__': names that begin and end with __"),
        (b"____=1", "reserved"),
        (b"__map__=x", "reserved"),
    ],
)
def test_malformed_pairs_are_refused_saying_where(data: bytes, problem: str) -> None:
    assert problem in refused(400, data, FORM)


def test_pairs_are_bounded() -> None:
    assert len(decode_pairs(b"a=1&b=2&c=3", "query", 3, 414)) == 3
    with pytest.raises(BadRequest) as error:
        decode_pairs(b"a&" * 3, "query", 3, 414)
    assert (error.value.status, "query has more than 3 fields" in error.value.problem) == (414, True)
    assert "1000 fields" in refused(413, b"a=1&" * 2_500_000, FORM)


_TEXT = st.text('aZ0 ~.*-é€😀\x00\r%+&=;#\\"')


@given(st.lists(st.tuples(_TEXT.filter(lambda name: "\0" not in name), _TEXT)))
def test_pairs_mean_what_urllib_writes(pairs: list[tuple[str, str]]) -> None:
    data = urlencode(pairs).encode()
    expected = {k: v if len(v) > 1 else v[0] for k, v in parse_qs(data.decode(), keep_blank_values=True).items()}
    assert decode_pairs(data, "query", 1000, 414) == expected


def test_hostile_forms() -> None:
    assert read(b"a=" + b"%41" * 3 * MB, FORM).fields == {"a": "A" * 3 * MB}
    refused(400, b"a=" + b"%ff" * 3 * MB, FORM)
