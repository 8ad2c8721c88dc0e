"""The store contract. Kinds: `sqlite` (embedded), `mongo` (any number of processes on one database).

Every method is a coroutine and may be called from any task of the event loop that opened the store.
What a completed write stored is there after a crash. Reads give what the last completed write left; what
another process wrote, a kind that is shared gives within a second.
"""

from __future__ import annotations

import enum
from typing import Final, Protocol

import msgspec

from store.audit import AuditStore
from store.usage import UsageStore


class StoreUnavailable(Exception):
    """The store cannot be reached or written now; nothing was changed. Callers answer 503."""


class Conflict(Exception):
    """A unique key exists already, or what was to be changed was changed meanwhile; the message names it."""


class Role(enum.StrEnum):
    """What an account is."""

    TENANT = "tenant"
    """Its code is untrusted, and its plan bounds it."""
    ADMIN = "admin"
    """An admin besides the installation's: its code is trusted, and tenants may be its own. Or the installation's,
    where that was a tenant elsewhere."""


class Status(enum.StrEnum):
    """Whether a tenant's calls are run."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    ELEVATED = "elevated"
    """It has an installation of its own, at `Tenant.address`, and its calls are run there alone."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """The account of whoever owns modules besides the installation's admin: a tenant, or a further admin.

    An installation's admin that was a tenant of another installation has a record of its own, too: it holds what
    that admin otherwise has none of, the key and the keys for signatures that it had there.
    """

    uuid: str
    name: str = ""
    """For people; no two tenants of one admin have the same, nor two admins, whatever its case. Empty: it has none."""
    plan: str = "free"
    """Name of its plan in `plans.toml`; empty: it is an admin, and no plan bounds it."""
    status: Status = Status.ENABLED
    created: float = 0.0
    """Unix time at which it was registered; 0 when that is not known."""
    key: str = ""
    """SHA-256 of its key to the control plane, in hexadecimal; empty: it has none. The key itself is nowhere."""
    token_keys: str = ""
    """The keys that its tokens are made with, sealed; empty: it has none."""
    signing_keys: str = ""
    """The public keys that its uploads are signed with; `catalogue.signatures` reads them. Empty: it has none."""
    signatures: str = ""
    """When the newest upload of each name was signed, removed modules included."""
    api_keys: str = ""
    """Its other keys, by their digests; `gateway.api_keys` reads them. Empty: it has none."""
    address: str = ""
    """Where its own installation is that it moves to, or has moved to once it is elevated. While there is one,
    nothing of what it has is changed here. Empty: it stays."""
    role: Role = Role.TENANT
    admin: str = ""
    """UUID of the further admin whose tenant it is; empty: the installation's, or it is an admin itself."""

    @property
    def further_admin(self) -> str:
        """UUID of the further admin that it is, or whose tenant it is; empty: it is a tenant of the installation's."""
        return self.uuid if self.role is Role.ADMIN else self.admin

    @property
    def standing(self) -> str:
        """Why its code is not run here, for those who ask for it."""
        moved = f": its installation is {self.address}" if self.status is Status.ELEVATED else ""
        return f"{self.role} {self.uuid} is {self.status}{moved}"


class TenantChange(msgspec.Struct, frozen=True, kw_only=True):
    """What of a tenant is to be another; None stays."""

    name: str | None = None
    plan: str | None = None
    status: Status | None = None
    key: str | None = None
    token_keys: str | None = None
    signing_keys: str | None = None
    signatures: str | None = None
    api_keys: str | None = None
    address: str | None = None
    admin: str | None = None


def changing(change: TenantChange) -> list[str]:
    """The names of the fields that are to be others."""
    return [name for name in change.__struct_fields__ if getattr(change, name) is not None]


UPLOADED: Final = "upload"
"""The source of a module that is in no plugin folder."""
ADMIN_TOKEN_KEYS: Final = "token_keys"  # noqa: S105  # the name of a setting
"""The setting that holds the keys which tokens for the admin's functions are made with, sealed."""


class Version(msgspec.Struct, frozen=True):
    """One upload of a module."""

    number: int
    """Grows with each upload of this name; begins anew when the module was removed."""
    digest: str
    """Content address of its bundle."""
    created: float
    """Unix time of the upload."""
    signed_by: str = ""
    """Id of the key that it was signed with; empty: it was not."""


class Module(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One module that serves: the last version that could be imported."""

    owner: str
    """UUID of the admin or tenant."""
    name: str
    alias: str | None
    digest: str
    """Content address of its bundle."""
    source: str
    """Where it came from: the path of the file or package folder; `UPLOADED` when it came over the network."""
    environment: str
    """What else the report depends on: digest of the packages the owner's runners had."""
    report: bytes
    """What inspecting it in a runner gave: JSON of `catalogue.report.Report`."""
    version: int = 0
    """Number of the version that serves; 0 when it is no upload."""
    versions: tuple[Version, ...] = ()
    """Its uploads that are kept, by number, the one that serves among them."""

    @property
    def digests(self) -> set[str]:
        """Of all bundles that it names."""
        return {self.digest, *(version.digest for version in self.versions)}


class ModuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """All modules of one owner at one moment."""

    owner: str
    revision: int
    """Grows with every change of the set; never reused."""
    modules: tuple[Module, ...]
    """Sorted by name."""


class SealedVariables(msgspec.Struct, frozen=True):
    """Environment variables of one tenant's functions; `store.variables` reads them."""

    revision: int = 0
    """Grows with every change; 0: it never had any."""
    sealed: str = ""
    """Empty: it has none."""


class VariableStore(Protocol):
    """The part of a store that keeps variables; removing a tenant forgets its own."""

    async def get(self, owner: str) -> SealedVariables:
        """The tenant's."""

    async def owners(self) -> list[str]:
        """UUIDs of the tenants that have some."""

    async def put(self, owner: str, sealed: str, revision: int) -> SealedVariables:
        """Keeps these in place of those at `revision`. Raises Conflict when it is not at that revision."""


class Store(Protocol):
    """What every kind of store promises; `tests/store/test_contract.py` proves it."""

    @property
    def variables(self) -> VariableStore:
        """Environment variables of tenants."""

    @property
    def usage(self) -> UsageStore:
        """What tenants use."""

    @property
    def audit(self) -> AuditStore:
        """Who changed what."""

    async def open(self) -> None:
        """Creates what is missing. Raises StoreUnavailable with the reason and the fix."""

    async def close(self) -> None:
        """Completes writes under way. May be called twice."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant, or admin, registered under this UUID, in canonical form."""

    async def tenants(self) -> list[Tenant]:
        """All tenants and admins, by UUID."""

    async def find_tenants(
        self, text: str, after: str, limit: int, role: Role | None = None, admin: str | None = None
    ) -> list[Tenant]:
        """The first `limit` tenants and admins by UUID behind `after` whose UUID, or whose name whatever its case,
        begins with `text`: those that are of this role, and are this admin or its own; None asks for nothing."""

    async def add_tenant(self, tenant: Tenant) -> None:
        """Registers a tenant or admin. Raises Conflict when the UUID is registered, or was lately in another role, or
        the name is another's."""

    async def change_tenant(self, uuid: str, change: TenantChange, before: Tenant | None = None) -> Tenant | None:
        """Changes a tenant and gives it as it is then; None when there is no such tenant. Raises Conflict
        when the name is another's, and when what is to be another is not as in `before`, if that is given
        (see store.changing)."""

    async def remove_tenant(self, uuid: str) -> bool:
        """Forgets a tenant and all its modules, variables and usage, and nothing of the audit trail; False when
        there is neither it nor a module.
        Modules and variables that somebody puts at the same moment may stay: who puts some looks afterwards
        whether there still is a tenant."""

    async def owners(self) -> list[str]:
        """UUIDs that own at least one module."""

    async def modules(self, owner: str) -> ModuleSet:
        """The owner's modules; revision 0 and empty when it never had any."""

    async def bundle(self, digest: str) -> bytes | None:
        """The bundle at this content address."""

    async def put_bundle(self, data: bytes) -> str:
        """Keeps a bundle and gives its digest; keeping it again changes nothing. A bundle that no
        module names may be forgotten after the next change of any module set."""

    async def change_modules(
        self, owner: str, put: list[Module], remove: list[str], revision: int | None = None
    ) -> ModuleSet:
        """Replaces or adds `put`, removes the names in `remove` that exist, in one step, and gives
        the new set under a new revision. With nothing to change the set and revision stay.
        Raises ValueError when a bundle of `put` was not kept first or a module has another owner, and
        Conflict when the set is not at `revision`, if one is given; `modules` then gives the one it is at."""

    async def setting(self, name: str) -> str | None:
        """A run-time setting changed through the control plane."""

    async def settings(self) -> dict[str, str]:
        """All run-time settings, by name."""

    async def put_setting(self, name: str, value: str | None) -> None:
        """Keeps a run-time setting; None forgets it."""
