"""Attacks as tables: what is done, and what must come of it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from tests.attacks.sandboxes.alive import Attacker
from tests.attacks.sandboxes.tenancy import ATTACKER
from tests.waiting import eventually

Expected = Callable[[httpx.Response, str], bool]
"""Whether an answer, to a call of this API, is what must come of an attack."""


def value(wanted: object) -> Expected:
    """200, and this value."""
    return lambda answer, api: answer.status_code == 200 and answer.json()["response"][api] == wanted


def only(*wanted: str) -> Expected:
    """200, and a list of nothing but these."""
    return lambda answer, api: answer.status_code == 200 and set(answer.json()["response"][api]) <= set(wanted)


def ends(status: int, said: str = "") -> Expected:
    """This status, and a body that says so."""
    return lambda answer, _: answer.status_code == status and said in answer.text


def either(*wanted: Expected) -> Expected:
    """One of several."""
    return lambda answer, api: any(one(answer, api) for one in wanted)


@dataclass(frozen=True)
class Row:
    """One attack. Its number is that of the security requirements."""

    number: str
    code: str
    expected: Expected
    gvisor: Expected | None = None
    """What must come of it under gVisor, where that is something else."""
    bubblewrap: Expected | None = None
    """The same under bubblewrap."""
    api: str = "attack"
    fresh: bool = False
    """By an attacker of its own, because it ends the runner."""
    violation: str = ""
    """What the host says of the runner: that it broke the protocol."""

    def run(self, attacker: Attacker) -> None:
        """Attacks, and holds what came of it against what must."""
        owner = attacker.fresh() if self.fresh else ATTACKER
        before = attacker.violations()
        answer = attacker.do(self.code, owner=owner, api=self.api)
        expected = self.expected
        if attacker.gvisor:
            expected = self.gvisor or expected
        elif attacker.bubblewrap:
            expected = self.bubblewrap or expected
        assert expected(answer, self.api), f"{answer.status_code} {answer.text[:1000]}"
        if self.violation:
            violations(attacker, before, self.violation)


def violations(attacker: Attacker, before: Sequence[str], said: str) -> None:
    """Waits until the host says that a runner broke the protocol, in these words."""
    eventually(lambda: any(said in line for line in attacker.violations()[len(before) :]))


def table(*rows: Row) -> pytest.MarkDecorator:
    """Runs the test for each row."""
    count: dict[str, int] = {}
    ids = []
    for row in rows:
        count[row.number] = count.get(row.number, 0) + 1
        ids.append(f"{row.number}-{count[row.number]}")
    return pytest.mark.parametrize("row", rows, ids=ids)


ON_X86_64: Final = pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls by their numbers on x86_64")
