"""Tenants in the embedded store's file. On the store's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from store.contract import Conflict, Status, Tenant, TenantChange, changing
from store.tenant_search import beginning_with, folded

_SELECT: Final = (
    "SELECT uuid, name, plan, status, created, key, token_keys, signing_keys, signatures, api_keys, address FROM tenant"
)


def find(connection: sqlite3.Connection, uuid: str) -> Tenant | None:
    """The tenant registered under this UUID."""
    found = _tenants(connection.execute(f"{_SELECT} WHERE uuid = ?", (uuid,)))
    return found[0] if found else None


def every(connection: sqlite3.Connection) -> list[Tenant]:
    """All tenants, by UUID."""
    return _tenants(connection.execute(f"{_SELECT} ORDER BY uuid"))


def search(connection: sqlite3.Connection, text: str, after: str, limit: int) -> list[Tenant]:
    """See Store.find_tenants."""
    begin, end = beginning_with(folded(text))
    return _tenants(
        connection.execute(
            f"{_SELECT} WHERE uuid > ? AND (uuid >= ? AND uuid < ? OR folded >= ? AND folded < ?)"
            " ORDER BY uuid LIMIT ?",
            (after, begin, end, begin, end, limit),
        )
    )


def add(connection: sqlite3.Connection, tenant: Tenant) -> None:
    """Registers a tenant. Raises Conflict."""
    try:
        connection.execute(
            "INSERT INTO tenant (uuid, name, folded, plan, status, created, key, token_keys,"
            " signing_keys, signatures, api_keys, address) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                tenant.uuid,
                tenant.name,
                folded(tenant.name),
                tenant.plan,
                tenant.status.value,
                tenant.created,
                tenant.key,
                tenant.token_keys,
                tenant.signing_keys,
                tenant.signatures,
                tenant.api_keys,
                tenant.address,
            ),
        )
    except sqlite3.IntegrityError as error:
        if find(connection, tenant.uuid):
            raise Conflict(f"tenant {tenant.uuid} is registered already") from error
        raise Conflict(f"another tenant is called {tenant.name}") from error


def change(
    connection: sqlite3.Connection, uuid: str, wanted: TenantChange, before: Tenant | None = None
) -> Tenant | None:
    """See Store.change_tenant."""
    if before is not None and (found := find(connection, uuid)):
        for field in changing(wanted):
            if getattr(found, field) != getattr(before, field):
                raise Conflict(f"{field} of {uuid} is another by now")
    name = None if wanted.name is None else folded(wanted.name)
    status = None if wanted.status is None else Status(wanted.status).value
    try:
        connection.execute(
            "UPDATE tenant SET name = coalesce(?, name), folded = coalesce(?, folded), plan = coalesce(?, plan),"
            " status = coalesce(?, status), key = coalesce(?, key), token_keys = coalesce(?, token_keys),"
            " signing_keys = coalesce(?, signing_keys), signatures = coalesce(?, signatures),"
            " api_keys = coalesce(?, api_keys), address = coalesce(?, address) WHERE uuid = ?",
            (
                *(wanted.name, name, wanted.plan, status, wanted.key, wanted.token_keys),
                *(wanted.signing_keys, wanted.signatures, wanted.api_keys, wanted.address, uuid),
            ),
        )
    except sqlite3.IntegrityError as error:
        raise Conflict(f"another tenant is called {wanted.name}") from error
    return find(connection, uuid)


def remove(connection: sqlite3.Connection, uuid: str) -> bool:
    """Forgets a tenant; False when there is none."""
    return connection.execute("DELETE FROM tenant WHERE uuid = ?", (uuid,)).rowcount > 0


def _tenants(rows: Iterable[tuple[Any, ...]]) -> list[Tenant]:
    found = (dict(zip(Tenant.__struct_fields__, row, strict=True)) for row in rows)
    return [Tenant(**one | {"status": Status(one["status"])}) for one in found]
