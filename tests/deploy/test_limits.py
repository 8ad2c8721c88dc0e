"""What the settings and a tenant's plan make of its pool's bounds."""

from __future__ import annotations

import logging
import os
from uuid import UUID

import msgspec
import pytest

import plans
from calls.frames import Imports
from deploy.front import upload_limits
from deploy.limits import TenantPlans, pool_limits, tenant_limits
from plans import Plan
from runner.launcher import LaunchFailed, Resources
from settings import MIB, Settings
from store.contract import Status, Tenant

KNOWN = {
    "free": Plan(memory_mb=128, cpus=0.5, runners=1, workers=2),
    "large": Plan(memory_mb=512, cpus=1024, runners=3, workers=7),
}
SETTINGS = Settings(ADMIN_UUID=UUID(int=1), ADMIN_KEY="k" * 16, RUNNER_MAX_CALLS=77, RUNNER_WORKERS=3)


class Registered:
    """A store with these tenants."""

    def __init__(self, **plan: str) -> None:
        self._tenants = {uuid: Tenant(uuid=uuid, plan=name) for uuid, name in plan.items()}

    def disable(self, uuid: str) -> None:
        self._tenants[uuid] = msgspec.structs.replace(self._tenants[uuid], status=Status.DISABLED)

    async def tenant(self, uuid: str) -> Tenant | None:
        return self._tenants.get(uuid)


async def test_a_tenants_plan_bounds_its_pool() -> None:
    plan_of = TenantPlans(SETTINGS, KNOWN, Registered(one="large"))
    bounds = await plan_of("one")
    assert (bounds.runners, bounds.max_runners, bounds.runner.workers, bounds.max_calls) == (1, 3, 7, 77)
    # More CPUs than there are is refused by the Engine.
    assert bounds.runner.resources == Resources(memory_bytes=512 * MIB, cpus=os.cpu_count() or 1)


async def test_a_plan_says_what_is_imported_under_its_name_and_the_admin_imports_anything() -> None:
    known = KNOWN | {
        "narrow": KNOWN["free"].model_copy(update={"imports": ("json",)}),
        "wide": KNOWN["free"].model_copy(update={"imports": ("*",)}),
    }
    plan_of = TenantPlans(SETTINGS, known, Registered(one="free", two="narrow", three="wide", four="gone"))
    lists = [(await plan_of(uuid)).runner.imports for uuid in ("one", "two", "three", "four")]
    default = Imports("free", tuple(sorted(plans.DEFAULT_IMPORTS)))
    assert lists == [default, Imports("narrow", ("__future__", "expose", "json", "vyperlogix")), None, default]
    assert pool_limits(SETTINGS).runner.imports is None


async def test_the_least_plan_is_what_prewarmed_runners_have() -> None:
    plan_of = TenantPlans(SETTINGS, KNOWN, Registered(one="free"))
    bounds = await plan_of("one")
    assert bounds == tenant_limits(SETTINGS, KNOWN).pool
    assert bounds.runner.resources == Resources(memory_bytes=128 * MIB, cpus=0.5)


async def test_code_of_who_is_unknown_or_disabled_has_no_runner() -> None:
    tenants = Registered(one="free")
    plan_of = TenantPlans(SETTINGS, KNOWN, tenants)
    with pytest.raises(LaunchFailed, match="tenant nobody is unknown"):
        await plan_of("nobody")
    tenants.disable("one")
    with pytest.raises(LaunchFailed, match="tenant one is disabled"):
        await plan_of("one")


async def test_a_plan_that_is_not_there_any_more_is_the_least_one_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan_of = TenantPlans(SETTINGS, KNOWN, Registered(one="gone", two="gone"))
    with caplog.at_level(logging.WARNING):
        for uuid in ("one", "two", "one"):
            assert await plan_of(uuid) == tenant_limits(SETTINGS, KNOWN).pool
    [told] = caplog.messages
    assert "gone" in told
    assert plans.FREE in told


def test_uploads_of_a_plan_that_is_no_more_are_bounded_as_those_of_free() -> None:
    known = {"free": KNOWN["free"].model_copy(update={"modules": 3, "bundle_bytes": 2048})}
    bounds = upload_limits(SETTINGS, known).of_plan("gone")
    assert (bounds.plan, bounds.modules, bounds.bundle_bytes) == ("free", 3, 2048)
