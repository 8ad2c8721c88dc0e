"""Given kept calls in a file, when it cannot be written for a while, then nothing is lost by that."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from calls.kept import KeptUnavailable, Taken
from calls.sqlite import file
from calls.sqlite.kept import SqliteKept
from tests.calls.test_kept_contract import BOUNDS, MANY, call, found, put, result


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BUSY_SECS", 0.05)


@asynccontextmanager
async def opened(folder: Path, **bounds: float) -> AsyncIterator[SqliteKept]:
    kept = SqliteKept(folder, replace(BOUNDS, **bounds))  # type: ignore[arg-type]
    await kept.open()
    try:
        yield kept
    finally:
        await kept.close()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program has the file, as one that copies it."""
    with contextlib.closing(sqlite3.connect(folder / "calls.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_call_that_could_not_be_taken_is_taken_later(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        one = call()
        await put(kept, one)
        with locked(tmp_path), pytest.raises(KeptUnavailable, match="locked"):
            await kept.take()
        assert await kept.take() == Taken(one, 1)


async def test_what_could_not_be_forgotten_is_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path, lease_secs=0.2) as kept:
        taken, waiting, done = call(), call(), call()
        await put(kept, done)
        await kept.take()
        await kept.finish(done.id, result(), MANY)
        await put(kept, taken)
        assert await kept.take() == Taken(taken, 1)
        await put(kept, waiting)
        with locked(tmp_path):
            for one in (taken, waiting, done):
                with pytest.raises(KeptUnavailable):
                    await kept.forget(one.id)
            with pytest.raises(KeptUnavailable):
                await kept.forget_owner(done.owner)
        assert await found(kept, done) == result()
        assert await kept.take() == Taken(waiting, 1)
        while (again := await kept.take()) is None:
            await asyncio.sleep(0)
        assert again == Taken(taken, 2), "its lease was over"
        assert await kept.forget(taken.id)
    async with opened(tmp_path) as kept:
        assert await kept.take() == Taken(waiting, 2)
        assert await kept.take() is None


async def test_what_made_room_in_vain_is_gone_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path, secs=0.2) as kept:
        over = call()
        await put(kept, over)
        await kept.take()
        await kept.finish(over.id, result(), MANY)
        while await kept.find(over.id) is not None:
            await asyncio.sleep(0)
        with locked(tmp_path), pytest.raises(KeptUnavailable):
            await put(kept, call())
        await put(kept, call())
    with contextlib.closing(sqlite3.connect(tmp_path / "calls.sqlite")) as other:
        assert other.execute("SELECT count(*) FROM kept WHERE id = ?", (over.id,)).fetchone() == (0,)


async def test_a_result_that_comes_too_late_for_its_key_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        assert await kept.hold("key", call().owner, b"mark", 0) is None
        await kept.finish("key", result(), MANY)
        assert await kept.find("key") is None
        assert await kept.hold("key", call().owner, b"mark", 60) is None, "it is free"


async def test_a_key_is_used_again_before_the_many_that_ended_with_it_are_swept(tmp_path: Path) -> None:
    async with opened(tmp_path, secs=1, max_bytes=4_000_000) as kept:
        owner = call().owner
        for number in range(150):
            assert await kept.hold(f"key:{number}", owner, b"mark", 60) is None
            await kept.finish(f"key:{number}", result(), MANY)
        while await kept.find("key:149") is not None:
            await asyncio.sleep(0)
        assert await kept.hold("key:149", owner, b"other", 60) is None
        assert await kept.forget("key:149")
        for _ in range(3):
            assert await kept.take() is None


async def test_what_cannot_be_read_holds_no_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        assert await kept.hold("key", call().owner, b"mark", 60) is None
        await kept.finish("key", result(), MANY)
        with contextlib.closing(sqlite3.connect(tmp_path / "calls.sqlite", isolation_level=None)) as other:
            other.execute("UPDATE kept SET result = x'9301'")
        assert await kept.hold("key", call().owner, b"mark", 60) is None
        await kept.finish("key", result(b"new"), MANY)
        assert await found_result(kept) == b"new"


async def found_result(kept: SqliteKept) -> bytes:
    there = await kept.find("key")
    assert there is not None
    assert there.result is not None
    return there.result.body
