"""Given uploads of one name, when more come or an earlier one is wanted, then its versions are kept and serve again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from catalogue.unpacking import BadUpload
from catalogue.uploads import Disabled
from catalogue.versions import NoVersion
from store.contract import Status, Tenant, TenantChange
from tests.catalogue.conftest import TENANT, Installation, source

OTHER = "33333333-3333-4333-a333-333333333333"


@pytest.fixture
async def installed(installation: Installation) -> Installation:
    """Started, with two tenants."""
    await installation.start()
    for uuid in (TENANT, OTHER):
        await installation.store.add_tenant(Tenant(uuid=uuid))
    await installation.catalogue.wait_ready()
    return installation


async def put(installed: Installation, api: str, name: str = "shop", owner: str = TENANT) -> None:
    await installed.catalogue.uploads.put(owner, name, source(api).encode())


async def numbers(installed: Installation) -> tuple[list[int], int]:
    """Which versions there are, and which serves."""
    module = await installed.catalogue.uploads.versions(TENANT, "shop")
    return [version.number for version in module.versions], module.version


async def test_a_version_serves_again(installed: Installation) -> None:
    for api in ("one", "two"):
        await put(installed, api)
    assert await numbers(installed) == ([1, 2], 2)
    await installed.catalogue.uploads.activate(TENANT, "shop", 1)
    assert installed.serving(TENANT) == {"shop": ["one"]}
    assert await numbers(installed) == ([1, 2], 1)
    assert await installed.catalogue.uploads.content(TENANT, "shop", 2) == {"shop.py": source("two").encode()}
    await put(installed, "three")
    assert await numbers(installed) == ([1, 2, 3], 3)
    await installed.catalogue.uploads.activate(TENANT, "shop", 3)
    assert installed.serving(TENANT) == {"shop": ["three"]}


async def test_what_serves_has_the_header_of_its_version(installed: Installation) -> None:
    for alias in ("v1", "v2"):
        await installed.catalogue.uploads.put(TENANT, "shop", source("x", header=f'__alias__ = "{alias}"').encode())
    await installed.catalogue.uploads.activate(TENANT, "shop", 1)
    assert installed.answers("v1", "x", owner=TENANT) == "shop.x"


async def test_only_the_latest_versions_are_kept(installed: Installation) -> None:
    for api in ("one", "two", "three", "four"):
        await put(installed, api)
    assert await numbers(installed) == ([2, 3, 4], 4)
    with pytest.raises(NoVersion, match="no version 1 of module shop"):
        await installed.catalogue.uploads.activate(TENANT, "shop", 1)
    await installed.catalogue.uploads.activate(TENANT, "shop", 2)
    await put(installed, "five")
    assert await numbers(installed) == ([3, 4, 5], 5)


async def test_the_same_upload_again_is_no_other_version(installed: Installation) -> None:
    await put(installed, "one")
    await put(installed, "one")
    assert await numbers(installed) == ([1], 1)


async def test_j11_another_tenants_versions_are_none(installed: Installation) -> None:
    await put(installed, "one")
    await put(installed, "secret", owner=OTHER)
    await put(installed, "more", owner=OTHER)
    with pytest.raises(NoVersion):
        await installed.catalogue.uploads.activate(TENANT, "shop", 2)
    with pytest.raises(NoVersion):
        await installed.catalogue.uploads.content(TENANT, "shop", 2)
    with pytest.raises(NoVersion):
        await installed.catalogue.uploads.activate(TENANT, "nothing", 1)


async def test_a_version_that_cannot_be_imported_any_more_changes_nothing(installed: Installation) -> None:
    await put(installed, "base", name="base")
    await installed.catalogue.uploads.put(TENANT, "shop", b"import base\n" + source("one").encode())
    await put(installed, "two")
    await installed.catalogue.uploads.remove(TENANT, "base")
    with pytest.raises(BadUpload, match="base"):
        await installed.catalogue.uploads.activate(TENANT, "shop", 1)
    assert installed.serving(TENANT) == {"shop": ["two"]}


async def test_nothing_is_rolled_back_for_a_disabled_tenant(installed: Installation) -> None:
    for api in ("one", "two"):
        await put(installed, api)
    await installed.store.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    with pytest.raises(Disabled):
        await installed.catalogue.uploads.activate(TENANT, "shop", 1)


async def test_a_removed_module_has_no_versions_and_begins_anew(installed: Installation) -> None:
    for api in ("one", "two"):
        await put(installed, api)
    await installed.catalogue.uploads.remove(TENANT, "shop")
    with pytest.raises(NoVersion):
        await numbers(installed)
    await put(installed, "three")
    assert await numbers(installed) == ([1], 1)


async def test_what_was_uploaded_before_versions_were_kept_is_the_first(installed: Installation) -> None:
    await put(installed, "one")
    [module] = (await installed.store.modules(TENANT)).modules
    old = msgspec.structs.replace(module, version=0, versions=())
    await installed.store.change_modules(TENANT, [old], [])
    await put(installed, "two")
    assert await numbers(installed) == ([1, 2], 2)
    await installed.catalogue.uploads.activate(TENANT, "shop", 1)
    assert installed.serving(TENANT) == {"shop": ["one"]}


async def test_j11_uploads_and_rollbacks_at_once_come_one_after_the_other(installed: Installation) -> None:
    await put(installed, "one")
    await asyncio.gather(
        *(put(installed, f"api{number}") for number in range(2)),
        *(installed.catalogue.uploads.activate(TENANT, "shop", 1) for _ in range(3)),
    )
    assert installed.runner.at_once == 1
    assert await numbers(installed) == ([1, 2, 3], 1)
    assert installed.serving(TENANT) == {"shop": ["one"]}
