"""Given a runner's specification, when its container's settings are made, then nothing varies that must not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.docker import template
from runner.docker.template import MIB, Quota, Wish
from runner.launcher import Resources, RunnerSpec, Trust

GOLDEN = Path(__file__).parent
RESOURCES = Resources(memory_bytes=256 * MIB, cpus=0.5)


def wish(trust: Trust, **changes: Any) -> Wish:
    """A wish whose every field can be recognised."""
    spec = RunnerSpec(
        id="0123456789abcdef",
        trust=trust,
        socket=Path("/run/plugbay/0123456789abcdef/host.sock"),
        nonce=b"a secret nonce!!",
        max_log=65536,
        memory_bytes=0,
        resources=RESOURCES,
    )
    usual: dict[str, Any] = {
        "spec": spec,
        "installation": "an-installation",
        "image": "sha256:0",
        "uid": 200_017,
        "quota": Quota(memory=256 * MIB, cpus=0.5, pids=64, tmp=32 * MIB),
    }
    return Wish(**(usual | changes))


def body(trust: Trust, **changes: Any) -> dict[str, Any]:
    """What the Engine is asked for."""
    if trust is Trust.ADMIN:
        return template.admin_body(wish(trust, **changes), network="admin-network")
    return template.tenant_body(wish(trust, **changes), runtime="runc", profile="{the profile}", systemd=False)


@pytest.mark.parametrize("trust", list(Trust))
def test_the_settings_are_the_golden_ones(trust: Trust) -> None:
    golden = json.loads((GOLDEN / f"{trust}.golden.json").read_text())
    assert json.loads(json.dumps(body(trust))) == golden


def differences(one: Any, other: Any, where: str = "") -> set[str]:
    """Paths at which two settings differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return set().union(*(differences(one[key], other[key], f"{where}/{key}") for key in one))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return set().union(*(differences(one[index], other[index], f"{where}/{index}") for index in range(len(one))))
    return set() if one == other else {where}


@pytest.mark.parametrize("trust", list(Trust))
def test_only_user_id_socket_and_limits_vary(trust: Trust) -> None:
    spec = RunnerSpec(
        id="f" * 16,
        trust=trust,
        socket=Path("/elsewhere/host.sock"),
        nonce=b"x" * 16,
        max_log=1,
        memory_bytes=2,
        resources=RESOURCES,
    )
    other = body(trust, spec=spec, uid=200_001, quota=Quota(memory=64 * MIB, cpus=1, pids=32, tmp=16 * MIB))
    limits = {f"/HostConfig/{name}" for name in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit", "Tmpfs//tmp")}
    assert differences(body(trust), other) == limits | {
        "/User",
        "/Labels/plugbay.runner",
        "/Cmd/3",
        "/Cmd/4",
        "/HostConfig/Mounts/0/Source",
    }


@pytest.mark.parametrize("trust", list(Trust))
def test_the_nonce_is_nowhere(trust: Trust) -> None:
    assert "a secret nonce" not in json.dumps(body(trust))


def test_under_systemd_tenants_share_a_slice() -> None:
    made = template.tenant_body(wish(Trust.TENANT), runtime="runsc", profile="{}", systemd=True)
    assert made["HostConfig"]["CgroupParent"] == "plugbay-tenants.slice"
    assert made["HostConfig"]["Runtime"] == "runsc"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory", 31 * MIB),
        ("memory", -1),
        ("memory", 2**60),
        ("cpus", 0),
        ("cpus", 1025),
        ("cpus", float("nan")),
        ("pids", 0),
        ("pids", 40_000),
        ("tmp", 0),
        ("tmp", 65 * MIB),
    ],
)
def test_limits_out_of_range_are_refused(field: str, value: float) -> None:
    usual: dict[str, Any] = {"memory": 64 * MIB, "cpus": 1, "pids": 64, "tmp": 16 * MIB}
    with pytest.raises(ValueError, match="not between"):
        Quota(**(usual | {field: value}))
