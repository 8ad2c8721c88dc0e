"""The seccomp profile of tenants' runners, as it is written. What it does is proved by a probe."""

from __future__ import annotations

import json

from runner.probe import CALLS
from tests.runner.docker.stack import PROFILE

PROFILE_TEXT = json.loads(PROFILE.read_text())


def names(action: str, *, conditional: bool) -> list[str]:
    """The calls that this action is for."""
    return [
        name
        for rule in PROFILE_TEXT["syscalls"]
        if rule["action"] == action and ("args" in rule) == conditional
        for name in rule["names"]
    ]


def test_what_is_not_allowed_is_refused() -> None:
    assert (PROFILE_TEXT["defaultAction"], PROFILE_TEXT["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)


def test_no_second_set_of_system_calls() -> None:
    assert all(row["subArchitectures"] == [] for row in PROFILE_TEXT["archMap"])
    assert "architectures" not in PROFILE_TEXT


def test_few_calls_are_allowed_and_each_once() -> None:
    allowed = names("SCMP_ACT_ALLOW", conditional=False)
    assert len(allowed) == len(set(allowed)) <= 250
    assert set(names("SCMP_ACT_ALLOW", conditional=True)) == {
        *("clone", "socket", "socketpair", "prlimit64", "sched_setaffinity", "ioctl")
    }
    assert not set(allowed) & set(names("SCMP_ACT_ALLOW", conditional=True))


def test_nothing_the_probe_tries_is_allowed_without_condition() -> None:
    tried = {name.partition("(")[0] for name in CALLS}
    assert len(tried) > 40
    assert not tried & set(names("SCMP_ACT_ALLOW", conditional=False))


def test_families_of_sockets_but_unix_are_named_as_unknown() -> None:
    (rule,) = [rule for rule in PROFILE_TEXT["syscalls"] if rule.get("errnoRet") == 97]
    assert rule["names"] == ["socket", "socketpair"]
    assert rule["args"] == [{"index": 0, "value": 1, "op": "SCMP_CMP_NE"}]
