"""Given an Engine on which a control is not in force, when a tenant's runner is wanted, then none starts."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runner.docker import proof
from runner.docker.engine import Engine
from runner.docker.fleet import Fleet
from runner.docker.probing import probe
from runner.docker.proof import Prover
from runner.launcher import ControlMissing, Trust
from runner.verdict import Report
from tests.runner.docker import stack
from tests.runner.docker.running import Running, spec

pytestmark = pytest.mark.needs("docker")


async def refusal(folder: Path, **changes: Any) -> str:
    """Why tenants' code does not run in such an installation, while the admin's does."""
    async with stack.launching(stack.installation(folder, **changes)) as launcher:
        with pytest.raises(ControlMissing) as missing:
            await launcher.check(Trust.TENANT)
        one = spec(folder)
        one.socket.parent.mkdir()
        with pytest.raises(ControlMissing) as again:
            await launcher.start(one)
        assert str(again.value) == str(missing.value)
        await launcher.check(Trust.ADMIN)
        return str(missing.value)


async def test_an_unknown_runtime(folder: Path) -> None:
    said = await refusal(folder, runtime="none-such")
    assert "TENANT_RUNTIME" in said
    assert "none-such" in said
    assert "daemon.json" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        (stack.PROFILE.read_text()[:1000], "cannot be read"),
        ("[]", "no list of what is allowed"),
        ('{"defaultAction": "SCMP_ACT_ALLOW"}', "no list of what is allowed"),
        ('{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": 3}', "Docker Engine"),
    ],
    ids=["none", "truncated", "list", "allows", "malformed"],
)
async def test_no_seccomp_profile(folder: Path, text: str | None, words: str) -> None:
    profile = folder / "profile.json"
    if text is not None:
        profile.write_text(text)
    said = await refusal(folder, profile=profile)
    assert words in said
    assert "seccomp" in said or "sandbox" in said


async def test_a_profile_that_allows_too_much_is_found_out(folder: Path) -> None:
    profile = json.loads(stack.PROFILE.read_text())
    profile["syscalls"].append({"names": ["keyctl", "unshare", "memfd_create"], "action": "SCMP_ACT_ALLOW"})
    path = folder / "profile.json"
    path.write_text(json.dumps(profile))
    said = await refusal(folder, profile=path)
    assert "seccomp: not refused: keyctl, memfd_create, unshare" in said
    assert "tenant.json" in said


async def test_an_image_that_is_not_there(folder: Path) -> None:
    said = await refusal(folder, tenant=stack.kind("plugbay-none-such"))
    assert "image: plugbay-none-such is not there" in said


async def test_an_image_with_a_setuid_program(folder: Path) -> None:
    said = await refusal(folder, tenant=stack.kind(stack.image_with("chmod 4755 /usr/bin/env")))
    assert "image: setuid or setgid files /usr/bin/env" in said


async def test_without_their_network_the_admins_runners_are_refused(folder: Path) -> None:
    async with stack.launching(stack.installation(folder, network="plugbay-none-such")) as launcher:
        with pytest.raises(ControlMissing, match="plugbay-none-such"):
            await launcher.check(Trust.ADMIN)


async def test_a_proof_is_made_once_and_again_for_another_image(folder: Path) -> None:
    wanted = stack.installation(folder)
    engine = Engine(stack.ADDRESS)
    fleet = Fleet(engine, wanted.name)
    await fleet.open()
    prover = Prover(engine, fleet, wanted)
    first = await prover.prove()
    assert await prover.prove() is first
    prover._installation = dataclasses.replace(wanted, tenant=wanted.admin)
    other = await prover.prove()
    assert other.basis.image != first.basis.image
    await fleet.close()
    engine.close()


async def report(folder: Path) -> tuple[Report, int]:
    """What a probe finds here, with the user id it had."""
    wanted = stack.installation(folder)
    engine = Engine(stack.ADDRESS)
    fleet = Fleet(engine, wanted.name)
    await fleet.open()
    prover = Prover(engine, fleet, wanted)
    basis = await prover._basis()
    found = await probe(fleet, folder, lambda one, uid: prover.body(basis, one, uid))
    await fleet.close()
    engine.close()
    return found.report, found.uid


Change = Callable[[dict[str, Any]], object]

CHANGES: list[tuple[str, Change]] = [
    ("seccomp: no filter", lambda found: found["status"].update(Seccomp="0")),
    ("seccomp: no filter", lambda found: found.update(calls={"clone3": 38})),
    ("not refused: bpf", lambda found: found["calls"].update(bpf=22)),
    ("not refused: socket family 38", lambda found: found["sockets"].update({"38": 0})),
    ("clone3 must answer ENOSYS", lambda found: found["calls"].update(clone3=1)),
    ("network: the runner sees lo, eth0", lambda found: found.update(interfaces=["lo", "eth0"])),
    ("capabilities: CapBnd", lambda found: found["status"].update(CapBnd="00000000a80425fb")),
    ("no-new-privileges", lambda found: found.update(no_new_privileges=0)),
    ("user: the runner is", lambda found: found.update(uids=[0, 0, 0])),
    ("setuid or setgid files /bin/su", lambda found: found.update(setuid=["/bin/su"])),
    ("read-only root: /", lambda found: found["written"].update({"/": 0})),
    ("read-only root: /dev/shm", lambda found: found["written"].update({"/dev/shm": 0})),
    ("socket folder", lambda found: found.update(replaced=0)),
    ("disk: /tmp is larger", lambda found: found["tmp"].update(bytes=1 << 40)),
    ("disk: /tmp is larger", lambda found: found["tmp"].update(inodes=1 << 20)),
    ("noexec", lambda found: found["tmp"].update(options="rw,nosuid,nodev")),
    ("limits: core", lambda found: found["limits"].update(core=-1)),
    ("memory: no limit", lambda found: found.update(memory=None)),
    ("memory: no limit", lambda found: found.update(memory="9223372036854771712\n")),
    ("swap: no limit", lambda found: found.update(swap="max\n", swaps="Filename Type\n/dev/sda2 partition\n")),
    ("pids: no limit", lambda found: found.update(pids="max\n")),
    ("cpu: no limit", lambda found: found.update(cpu="max 100000\n")),
    ("oom_score_adj", lambda found: found.update(oom_score_adj="0\n")),
    ("kernel.core_pattern", lambda found: found.update(core_pattern="|/usr/share/apport/apport %p\n")),
    ("masked paths: /proc/kcore", lambda found: found["masked"].update({"/proc/kcore": 4096})),
]


async def test_every_control_that_is_not_in_force_is_named(folder: Path) -> None:
    found, uid = await report(folder)
    kernel = platform.release()
    assert list(proof.missing(found, uid, stack.QUOTA, kernel)) == []
    for words, change in CHANGES:
        changed = msgspec.to_builtins(found)
        change(changed)
        said = list(proof.missing(msgspec.convert(changed, Report), uid, stack.QUOTA, kernel))
        assert any(words in one for one in said), (words, said)
        assert all("; " in one for one in said), said  # what is missing; how to have it


@pytest.mark.needs("gvisor")
async def test_gvisor_is_proved_as_well_and_connects_on_its_runners_behalf(folder: Path) -> None:
    async with stack.launching(stack.installation(folder, runtime="runsc")) as launcher:
        await launcher.check(Trust.TENANT)
        async with Running(launcher, folder) as running:
            assert launcher.admits(running.spec.id, running.peer)
            assert not launcher.admits(running.spec.id, running.sandbox.uid)
