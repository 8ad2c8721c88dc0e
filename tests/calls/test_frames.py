"""Frames: what goes in comes out however it is cut, and what breaks the rules is refused cheaply."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls import frames
from calls.call import Outcome


def result(payload: bytes = b"1") -> frames.Result:
    """A worker's answer."""
    return frames.Result("id", Outcome.VALUE, payload, 0, (("a", "b"),), "", b"log", False, False)


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 40))
def test_frames_survive_any_cut(payloads: list[bytes], step: int) -> None:
    stream = b"".join(frames.encode(result(payload)) for payload in payloads)
    reader = frames.FrameReader()
    bodies = [body for start in range(0, len(stream), step) for body in reader.feed(stream[start : start + step])]
    assert [frames.decode_from_worker(body) for body in bodies] == [result(payload) for payload in payloads]
    assert not reader.partial


@pytest.mark.parametrize("length", [0, frames.MAX_FRAME + 1, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(frames.FrameError, match="is not between"):
        frames.FrameReader().feed(struct.pack("!I", length))


@given(st.binary(max_size=200))
def test_garbage_is_refused_as_such(body: bytes) -> None:
    try:
        frames.decode_from_worker(body)
    except frames.FrameError:
        return
    assert isinstance(frames.decode_from_worker(body), frames.Result | frames.Hello)


@pytest.mark.parametrize(
    "body",
    [
        msgspec.msgpack.encode([99]),
        msgspec.msgpack.encode([17, "id"]),
        msgspec.msgpack.encode([16, b"n", "more"]),
        msgspec.msgpack.encode([16, "text"]),
        msgspec.msgpack.encode([1, "name", b"data"]),
        b"\x91" * 100_000 + b"\xc0",
        msgspec.msgpack.encode([16, b"n"]) + b"\x00",
        b"\xc7\x01\x05\x00",
        b"\x92\x10\xa2\xff\xfe",
    ],
    ids=["unknown", "missing", "extra", "type", "host's", "deep", "trailing", "extension", "not utf-8"],
)
def test_what_is_not_exactly_a_workers_frame_is_refused(body: bytes) -> None:
    with pytest.raises(frames.FrameError):
        frames.decode_from_worker(body)


@pytest.mark.parametrize("imports", [None, frames.Imports("free", ()), frames.Imports("free", ("json", "os"))])
def test_a_worker_learns_what_it_may_import(imports: frames.Imports | None) -> None:
    begin = frames.Begin({"A": "1"}, 1024, [], {}, imports)
    [body] = frames.FrameReader().feed(frames.encode(begin))
    assert frames.decode_from_host(body) == begin


def test_a_frame_above_the_bound_is_not_sent() -> None:
    with pytest.raises(frames.FrameError, match="larger than"):
        frames.encode(result(bytes(frames.MAX_FRAME)))
