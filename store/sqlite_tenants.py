"""Tenants in the embedded store's file. On the store's own thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from store.contract import Conflict, Role, Status, Tenant, TenantChange, changing
from store.tenant_search import beginning_with, folded, taken

_FIELDS: Final = Tenant.__struct_fields__
"""Columns have their names."""
_SELECT: Final = f"SELECT {', '.join(_FIELDS)} FROM tenant"
_ADD: Final = f"INSERT INTO tenant ({', '.join(_FIELDS)}, folded) VALUES ({', '.join('?' * len(_FIELDS))}, ?)"


def find(connection: sqlite3.Connection, uuid: str) -> Tenant | None:
    """The tenant registered under this UUID."""
    found = _tenants(connection.execute(f"{_SELECT} WHERE uuid = ?", (uuid,)))
    return found[0] if found else None


def every(connection: sqlite3.Connection) -> list[Tenant]:
    """All tenants, by UUID."""
    return _tenants(connection.execute(f"{_SELECT} ORDER BY uuid"))


def search(
    connection: sqlite3.Connection, text: str, after: str, limit: int, role: Role | None, admin: str | None
) -> list[Tenant]:
    """See Store.find_tenants."""
    begin, end = beginning_with(folded(text))
    conditions = ["uuid > ?", "(uuid >= ? AND uuid < ? OR folded >= ? AND folded < ?)"]
    values = [after, begin, end, begin, end]
    if role is not None:
        conditions.append("role = ?")
        values.append(Role(role).value)
    if admin is not None:
        conditions.append("(admin = ? OR uuid = ?)")
        values += [admin, admin]
    query = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY uuid LIMIT ?"
    return _tenants(connection.execute(query, (*values, limit)))


def add(connection: sqlite3.Connection, tenant: Tenant) -> None:
    """Registers a tenant. Raises Conflict."""
    try:
        connection.execute(_ADD, (*msgspec.to_builtins(tenant).values(), folded(tenant.name)))
    except sqlite3.IntegrityError as error:
        if find(connection, tenant.uuid):
            raise Conflict(f"{tenant.role} {tenant.uuid} is registered already") from error
        raise Conflict(f"another {tenant.role} is called {tenant.name}") from error


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
            " api_keys = coalesce(?, api_keys), address = coalesce(?, address), admin = coalesce(?, admin)"
            " WHERE uuid = ?",
            (
                *(wanted.name, name, wanted.plan, status, wanted.key, wanted.token_keys),
                *(wanted.signing_keys, wanted.signatures, wanted.api_keys, wanted.address, wanted.admin, uuid),
            ),
        )
    except sqlite3.IntegrityError as error:
        raise taken(wanted) from error
    return find(connection, uuid)


def remove(connection: sqlite3.Connection, uuid: str) -> bool:
    """Forgets a tenant; False when there is none."""
    return connection.execute("DELETE FROM tenant WHERE uuid = ?", (uuid,)).rowcount > 0


def _tenants(rows: Iterable[tuple[Any, ...]]) -> list[Tenant]:
    found = (dict(zip(_FIELDS, row, strict=True)) for row in rows)
    return [Tenant(**one | {"status": Status(one["status"]), "role": Role(one["role"])}) for one in found]
