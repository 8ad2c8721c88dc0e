"""What is compared takes turns."""

from __future__ import annotations

import pytest

from benchmarks.load import Invalid, Result, Sample
from benchmarks.turns import take_turns, valid


def sample(requests: int) -> Sample:
    return Sample(requests=requests, secs=1, p50_us=1, p99_us=1, refused=0, broken=0, timeouts=0)


class Measured:
    """A measurement that notes when it was taken; from round `fails_in` on it fails."""

    def __init__(self, name: str, taken: list[str], fails_in: int = 99) -> None:
        self.name = name
        self.taken = taken
        self.fails_in = fails_in

    def __call__(self) -> Sample:
        self.taken.append(self.name)
        if self.taken.count(self.name) > self.fails_in:
            raise Invalid(f"{self.name} broke")
        return sample(self.taken.count(self.name))


def test_every_round_begins_with_another() -> None:
    taken: list[str] = []
    results = take_turns({name: Measured(name, taken) for name in "abc"}, rounds=3)
    assert "".join(taken) == "abcbcacab"
    assert {name: result.rps for name, result in valid(results).items()} == {"a": 2, "b": 2, "c": 2}


def test_what_failed_once_is_not_measured_again_and_spoils_no_other() -> None:
    taken: list[str] = []
    results = take_turns({"a": Measured("a", taken, fails_in=1), "b": Measured("b", taken)}, rounds=4)
    assert taken.count("a") == 2
    assert isinstance(results["a"], Invalid)
    assert isinstance(results["b"], Result)
    with pytest.raises(Invalid, match="a: a broke"):
        valid(results)
