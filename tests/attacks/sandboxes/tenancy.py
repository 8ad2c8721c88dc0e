"""Tenants with modules in a plugin folder and in the store, where their modules count as tried: none is inspected again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import msgspec

from calls import bundle
from catalogue.report import Endpoint, Report
from store.contract import Module, Store, Tenant

MODULES = Path(__file__).with_name("modules")
NEIGHBOUR = "b0000000-0000-4000-8000-000000000001"
ATTACKER = "a0000000-0000-4000-8000-000000000000"

AT_ONCE = 8
"""Tenants that are registered at the same time."""

_ATTACKS = Report(
    endpoints=(
        Endpoint(api="attack", methods=("POST",), function="attack", timeout=10),
        Endpoint(api="short", methods=("POST",), function="short", timeout=0.5),
        Endpoint(api="shared", methods=("POST",), function="shared", timeout=0.5, concurrent=True),
        Endpoint(api="respond", methods=("POST",), function="respond"),
        Endpoint(api="ping", methods=("GET",), function="ping", timeout=5),
    )
)
_PING = Report(endpoints=(Endpoint(api="ping", methods=("GET",), function="ping", timeout=5),))
_PING_SOURCE = "import expose\n@expose.endpoint(timeout=5)\ndef ping():\n    return 'pong'\n"


def spare(number: int) -> str:
    """The UUID of one of many attackers."""
    return str(UUID(int=UUID(ATTACKER).int + 1 + number))


def stormy(number: int) -> str:
    """The UUID of one of those that call at once."""
    return str(UUID(int=UUID("c0000000-0000-4000-8000-000000000000").int + number))


async def register(store: Store, plugins: Path, spares: int, storm: int) -> None:
    """The neighbour, the attacker, `spares` more attackers that have what it has, and `storm` who only answer."""
    attackers = [NEIGHBOUR, ATTACKER, *(spare(number) for number in range(spares))]
    served = [
        _serve(store, plugins, owner, f"attack{number}", _attack(f"attack{number}", owner), _ATTACKS)
        for number, owner in enumerate(attackers)
    ]
    for number in range(storm):
        name, owner = f"storm{number}", stormy(number)
        source = f'{_PING_SOURCE}__ID__ = "{owner}"\n'.encode()
        served.append(_serve(store, plugins, owner, name, {f"{name}.py": source}, _PING))
    for first in range(0, len(served), AT_ONCE):
        await asyncio.gather(*served[first : first + AT_ONCE])


def _attack(name: str, owner: str) -> dict[str, bytes]:
    """The files of an attacker's module."""
    files = {f"{name}/{file.name}": file.read_bytes() for file in (MODULES / "attack").glob("*.py")}
    files[f"{name}/__init__.py"] += f'\n__ID__ = "{owner}"\n'.encode()
    return files


async def _serve(store: Store, plugins: Path, owner: str, name: str, files: dict[str, bytes], report: Report) -> None:
    for path, content in files.items():
        file = plugins / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    await store.add_tenant(Tenant(uuid=owner))
    module = Module(
        owner=owner,
        name=name,
        alias=None,
        digest=await store.put_bundle(bundle.pack(files)),
        source=str(plugins / name if len(files) > 1 else plugins / f"{name}.py"),
        environment="",
        report=msgspec.json.encode(report),
    )
    await store.change_modules(owner, [module], [])
