"""A platform with tenants whose UUIDs the tests choose: they are put into its store before it starts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from calls import bundle
from catalogue.report import Endpoint, Report
from store.contract import Module, Status, Tenant
from store.sqlite import SqliteStore
from tests.attacks.conftest import PLUGINS
from tests.embedded.server import Embedded, running

ONE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-9222-22222222222f"
DISABLED = "33333333-3333-4333-a333-333333333333"
NIL = "00000000-0000-0000-0000-000000000000"


async def _prepare(data: Path, plugins: Path) -> None:
    """Three tenants, one of them with a module that serves as far as this platform runs tenants at all."""
    file = plugins / "hidden.py"
    file.write_text(f'import expose\n__ID__ = "{OTHER}"\n@expose.endpoint(API="secret")\ndef secret():\n    return 1\n')
    report = Report(endpoints=(Endpoint(api="secret", methods=("GET",), function="secret"),))
    store = SqliteStore(data)
    await store.open()
    for uuid, status in ((ONE, Status.ENABLED), (OTHER, Status.ENABLED), (DISABLED, Status.DISABLED)):
        await store.add_tenant(Tenant(uuid=uuid, status=status))
    digest = await store.put_bundle(bundle.pack({file.name: file.read_bytes()}))
    module = Module(
        owner=OTHER,
        name="hidden",
        alias=None,
        digest=digest,
        source=str(file),
        environment="",
        report=msgspec.json.encode(report),
    )
    await store.change_modules(OTHER, [module], [])
    await store.close()


@contextmanager
def with_tenants(folder: Path, **settings: str) -> Iterator[Embedded]:
    """A platform with tenants, in an empty folder."""
    plugins, data = folder / "plugins", folder / "data"
    plugins.mkdir()
    for name in ("ping.py", "given.py"):
        (plugins / name).write_bytes((PLUGINS / name).read_bytes())
    asyncio.run(_prepare(data, plugins))
    with running(plugins, data, **settings) as server:
        yield server
