"""Rows I12 to I14: odd JSON on one connection, read as Python reads it or refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.attacks.fuzz import FUZZ, Line, arguments
from tests.attacks.wire import request

KEYS = st.sampled_from(["a", "b", "args", "é", "\0", "", "$ne", "__x__", "a" * 100]) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([2**64, -(2**63) - 1, 1e308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
WRITTEN: list[Callable[[Any], str]] = [
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False),
    lambda value: json.dumps(value, indent=1),
]
SPLICES = st.sampled_from(
    [b"", b",", b'"', b"{", b"}", b"]", b"\\", b"\0", b"\xff", b"\xef\xbb\xbf", b"1e999", b'"a":1,']
)
BODY = st.tuples(st.dictionaries(KEYS, JSON, max_size=4) | JSON, st.sampled_from(WRITTEN)).map(
    lambda pair: pair[1](pair[0]).encode("utf-8", "surrogatepass")
)


class Grey(Exception):
    """JSON that may be taken or refused: RFC 8259 leaves it to the reader."""


def json_reference(body: bytes) -> Any:
    """The value. Raises ValueError when it is to be refused, Grey when it may be."""
    if body.startswith(b"\xef\xbb\xbf"):
        raise ValueError("byte order mark")

    def never(text: str) -> None:
        raise ValueError(text)

    def number(text: str) -> float:
        value = float(text)
        if math.isinf(value):
            raise ValueError(text)
        return value

    value = json.loads(body.decode(), parse_constant=never, parse_float=number, object_pairs_hook=_Pairs)
    if isinstance(value, _Pairs):
        names = [name for name, _ in value]
        if len(set(names)) < len(names):
            raise ValueError("a key comes twice")
        if any("\0" in name or re.fullmatch("__.*__|___?", name, re.DOTALL) for name in names):
            raise ValueError("a name that is reserved")
    if any("\ud800" <= char <= "\udfff" for char in _texts(value)):
        raise ValueError("half a character")
    return _plain(value)


class _Pairs(list[tuple[str, Any]]):
    """An object, with every pair it had."""


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {name: _plain(inner) for name, inner in value}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        raise Grey
    return value


def _texts(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "".join(name + _texts(inner) for name, inner in value)
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""


def test_i12_i13_i14_every_json_body_is_read_as_python_reads_it_or_refused(line: Line) -> None:
    seen: set[int] = set()

    @FUZZ
    @given(BODY, st.integers(0, 60), st.integers(0, 2), SPLICES, st.booleans())
    def check(body: bytes, place: int, length: int, splice: bytes, whole: bool) -> None:
        if not whole:
            body = body[:place] + splice + body[place + length :]
        answer = line.ask(
            request(b"/rest/services/given/all/", b"Content-Type: application/json", method=b"POST", body=body)
        )
        seen.add(answer.status)
        assert answer.status in (200, 400), (body, answer)
        try:
            wanted = json_reference(body)
        except Grey:
            return
        except (ValueError, RecursionError):
            assert answer.status == 400, (body, answer)
            return
        assert answer.status == 200, (body, answer)
        given = arguments(answer)
        if isinstance(wanted, dict):
            wanted = {name: value for name, value in wanted.items() if name not in ("func", "module")}
            assert repr(sorted(given.items())) == repr(sorted(wanted.items())), body
        else:
            assert repr(given) == repr({"__body__": wanted}), body

    check()
    assert seen == {200, 400}
