"""Proof that tenants' runners are what the hardening table says, made by a probe before any tenant's code runs."""

from __future__ import annotations

import asyncio
import json
import logging
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from runner import verdict
from runner.docker import template
from runner.docker.engine import Engine, Facts, NotThere
from runner.docker.fleet import Fleet
from runner.docker.installation import Installation
from runner.docker.probing import PROBED, Finding, probe
from runner.docker.template import Quota, Wish
from runner.launcher import ControlMissing, RunnerSpec
from runner.verdict import Report

log = logging.getLogger("plugbay.runner")

_AGAIN_SECS: Final = 10.0
"""Seconds a failed proof stands before it is tried again: an operator's fix shows without a restart."""


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a proof is about; with anything else it is due again."""

    image: str
    """Content address of the tenants' image."""
    profile: str
    """Text of the seccomp profile."""
    facts: Facts


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """On this basis every control was seen to hold."""

    basis: Basis
    peer: int | None
    """User id this host sees at the other end of every runner's connections; None: each runner's own."""
    resizes: bool
    """The runtime gives other resources to what runs."""


class Prover:
    """Gives the proof there is, or makes it: once per Engine, image and profile."""

    def __init__(self, engine: Engine, fleet: Fleet, installation: Installation) -> None:
        self._engine = engine
        self._fleet = fleet
        self._installation = installation
        self._lock = asyncio.Lock()
        self._facts: tuple[int, Facts] | None = None
        self._proof: Proof | None = None
        self._failure: tuple[float, Basis, str] | None = None

    async def prove(self) -> Proof:
        """Raises ControlMissing naming each control that is not in force, or EngineAway."""
        async with self._lock:
            basis = await self._basis()
            if self._proof is None or self._proof.basis != basis:
                self._proof = await self._try(basis)
            return self._proof

    @property
    def resizes(self) -> bool:
        """See launcher.Launcher."""
        return self._proof is not None and self._proof.resizes

    def body(self, basis: Basis, spec: RunnerSpec, uid: int) -> dict[str, Any]:
        """What the Engine is asked to create for a tenant."""
        wanted = self._installation
        quota = wanted.tenant.quota(spec.resources)
        wish = Wish(spec=spec, installation=wanted.name, image=basis.image, uid=uid, quota=quota)
        return template.tenant_body(wish, runtime=wanted.runtime, profile=basis.profile, systemd=basis.facts.systemd)

    async def _basis(self) -> Basis:
        if self._facts is None or self._facts[0] != self._fleet.connections:
            self._facts = (self._fleet.connections, await self._engine.facts())
        facts = self._facts[1]
        wanted = self._installation
        if wanted.runtime not in facts.runtimes:
            raise ControlMissing(
                f"TENANT_RUNTIME: the Docker Engine has no runtime {wanted.runtime!r}, only "
                f"{', '.join(sorted(facts.runtimes))}; register it in /etc/docker/daemon.json and have the "
                "Engine read that again (systemctl reload docker)"
            )
        try:
            image = await self._engine.image(wanted.tenant.image)
        except NotThere as error:
            raise ControlMissing(f"image: {wanted.tenant.image} is not there; ./docker-up.sh builds it") from error
        return Basis(image=image, profile=_profile(wanted.profile), facts=facts)

    async def _try(self, basis: Basis) -> Proof:
        if self._failure is not None:
            when, failed, problem = self._failure
            if failed == basis and time.monotonic() - when < _AGAIN_SECS:
                raise ControlMissing(problem)
        try:
            found = await probe(self._fleet, self._installation.folder, lambda spec, uid: self.body(basis, spec, uid))
            return self._judged(basis, found)
        except ControlMissing as error:
            self._failure = (time.monotonic(), basis, str(error))
            log.error("tenants' code does not run: %s", error)
            raise

    def _judged(self, basis: Basis, found: Finding) -> Proof:
        problems = [f"the Docker Engine: {warning}" for warning in found.warnings]
        problems += missing(found.report, found.uid, self._installation.tenant.quota(PROBED), platform.release())
        if problems:
            raise ControlMissing("sandbox control missing: " + "; ".join(problems))
        log.info(
            "tenants' sandbox proved (%s): %d calls and %d socket families tried, all refused",
            self._installation.runtime,
            len(found.report.calls),
            len(found.report.sockets),
        )
        return Proof(basis=basis, peer=None if found.peer == found.uid else found.peer, resizes=found.resizes)


def missing(report: Report, uid: int, quota: Quota, kernel: str) -> Iterator[str]:
    """Each control that is not in force, with its fix. `kernel` is this machine's release: a runtime that
    brings another one (gVisor) shows its own /proc and /sys inside."""
    yield from verdict.uncontained(report, uid, quota.tmp, quota.inodes)
    if report.setuid:
        yield f"image: setuid or setgid files {', '.join(report.setuid[:3])}; build it from images/runner.Dockerfile"
    if report.kernel == kernel:
        yield from verdict.unlimited(report, quota.memory, quota.pids)
        yield from verdict.exposed(report)


def _profile(path: Path) -> str:
    """The profile's text. Raises ControlMissing: the Engine would take some broken ones for its own default."""
    fix = "restore images/seccomp/tenant.json"
    try:
        text = path.read_text("utf-8")
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise ControlMissing(f"seccomp: {path} cannot be read: {error}; {fix}") from error
    if not isinstance(content, dict) or content.get("defaultAction") != "SCMP_ACT_ERRNO":
        raise ControlMissing(f"seccomp: {path} is no list of what is allowed; {fix}")
    return text
