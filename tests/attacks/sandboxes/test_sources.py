"""Rows C27 and J8 of the security requirements: source that costs much to read, or reads as something else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.attacks.sandboxes.alive import Attacker
from tests.attacks.sandboxes.tenancy import ATTACKER
from tests.waiting import eventually

OWNED = f'__ID__ = "{ATTACKER}"\n'
DEAR = {
    "lists": OWNED + "a=[" + "[]," * 60_000 + "]",
    "nots": OWNED + "a=" + "not " * 60_000 + "1",
    "attributes": OWNED + "a=a" + ".a" * 100_000,
    "digits": OWNED + "a=" + "9" * 200_000,
    "nested": OWNED + "a=" + "[" * 100_000 + "]" * 100_000,
}
OTHERWISE = {
    "utf-7": b'# coding: utf-7\n# +AAo-__ID__ +AD0 "x"\n',
    "rot13": b"# coding: rot13\n",
    "latin-1": b"# -*- coding: latin-1 -*-\na = '\xe4'\n",
    "utf-16": "a = 1\n".encode("utf-16"),
    "nul": b"a = 1\n\x00\n",
}


@pytest.fixture
def saved(attacker: Attacker) -> Iterator[str]:
    """The name of a module that a test may save."""
    name = f"source{time.monotonic_ns()}"
    yield name
    (attacker.stack.plugins / f"{name}.py").unlink()


def told(attacker: Attacker, name: str) -> str:
    """What the gateway's log says of a module."""
    return "\n".join(line for line in attacker.stack.gateway_log().splitlines() if name in line)


@pytest.mark.parametrize("what", DEAR)
def test_c27_what_is_dear_to_read_costs_no_call(attacker: Attacker, saved: str, what: str) -> None:
    (attacker.stack.plugins / f"{saved}.py").write_text(DEAR[what])
    eventually(lambda: told(attacker, saved), 30)


@pytest.mark.parametrize("what", OTHERWISE)
def test_j8_source_is_utf_8_and_nothing_else(attacker: Attacker, saved: str, what: str) -> None:
    (attacker.stack.plugins / f"{saved}.py").write_bytes(OTHERWISE[what])
    eventually(lambda: "does not serve" in told(attacker, saved), 30)
