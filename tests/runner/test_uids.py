"""Given a bounded range of user ids, when runners come and go, then none is used twice within an hour."""

from __future__ import annotations

import pytest

from runner import uids
from runner.uids import NoUid, Uids


def test_each_is_taken_once() -> None:
    pool = Uids(200_001, 5)
    assert sorted(pool.take() for _ in range(5)) == [200_001, 200_002, 200_003, 200_004, 200_005]


def test_what_was_given_back_rests() -> None:
    pool = Uids(1000, 3)
    for _ in range(3):
        pool.give_back(pool.take())
    with pytest.raises(NoUid, match="all 3 user ids"):
        pool.take()


def test_the_longest_rested_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uids, "REST_SECS", 0.0)
    pool = Uids(1000, 3)
    taken = [pool.take() for _ in range(3)]
    for uid in (taken[1], taken[0]):
        pool.give_back(uid)
    assert [pool.take(), pool.take()] == [taken[1], taken[0]]
    with pytest.raises(NoUid):
        pool.take()


def test_a_successor_does_not_begin_where_its_predecessor_did() -> None:
    assert len({Uids(0, 1_000_000).take() for _ in range(5)}) > 1
