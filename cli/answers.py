"""What the tool reads in Plugbay's answers. Fields it does not show are not named here."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from cli.problem import NOT_REACHABLE, Problem

_T = TypeVar("_T")


class Runner(msgspec.Struct, frozen=True):
    """One runner of a pool."""

    id: str
    state: str
    workers: int
    busy: int
    calls: int
    age_secs: float
    host: str


class Pool(msgspec.Struct, frozen=True):
    """One pool."""

    name: str
    kind: str
    size: int
    runners: list[Runner]
    queue: int
    cold_starts: int
    kills: dict[str, int]


class Host(msgspec.Struct, frozen=True):
    """One runner host."""

    name: str
    draining: bool
    capacity: int
    load: int


class Pools(msgspec.Struct, frozen=True):
    """All pools, and the hosts they are on."""

    pools: list[Pool]
    hosts: list[Host]


class TokenKey(msgspec.Struct, frozen=True):
    """A key that tokens are made with."""

    id: str
    created: float


class TokenKeys(msgspec.Struct, frozen=True):
    """An owner's keys for tokens."""

    keys: list[TokenKey]


class Setting(msgspec.Struct, frozen=True):
    """One run-time setting."""

    name: str
    value: int | str | None
    default: int | str | None
    source: str


class Settings(msgspec.Struct, frozen=True):
    """All run-time settings."""

    settings: list[Setting]


class Record(msgspec.Struct, frozen=True):
    """What one call printed."""

    time: float
    call: str
    module: str
    api: str
    outcome: str
    status: int
    text: str
    truncated: bool
    run_ms: float
    missed: int = 0
    """Records before this one that a follower was too slow for."""


class Records(msgspec.Struct, frozen=True):
    """One page of the log, the newest first."""

    records: list[Record]


class Parameter(msgspec.Struct, frozen=True):
    """One declared parameter of a function."""

    name: str
    type: str = ""
    required: bool = True
    default: str = ""


class Endpoint(msgspec.Struct, frozen=True):
    """One function exposed for one method."""

    doc: str
    parameters: list[Parameter]


class ModuleProblem(msgspec.Struct, frozen=True):
    """Why a module, or its newest version, does not serve."""

    module: str
    text: str
    line: int | None


class Module(msgspec.Struct, frozen=True):
    """One module."""

    alias: str | None
    source: str
    serves: bool


class Skipped(msgspec.Struct, frozen=True):
    """Something in a plugin folder that is not taken as a module."""

    path: str
    reason: str


class Directory(msgspec.Struct, frozen=True):
    """Everything one owner has."""

    modules: dict[str, Module]
    endpoints: dict[str, dict[str, dict[str, Endpoint]]]
    """module → method → API → endpoint"""
    problems: list[ModuleProblem]
    skipped: list[Skipped]


class Tenant(msgspec.Struct, frozen=True):
    """Whoever owns modules besides the installation's admin."""

    uuid: str
    name: str
    role: str
    admin: str
    plan: str
    status: str
    created: float


class Tenants(msgspec.Struct, frozen=True):
    """One page of tenants."""

    tenants: list[Tenant]
    next: str | None


class EnvironVariable(msgspec.Struct, frozen=True):
    """One variable of a tenant's functions."""

    name: str
    module: str | None
    value: str | None


class UsedDay(msgspec.Struct, frozen=True):
    """What a tenant used on one day."""

    day: str
    calls: int
    errors: int
    refused: int
    cold_starts: int
    run_seconds: float
    cpu_seconds: float
    bytes_in: int
    bytes_out: int


class Usage(msgspec.Struct, frozen=True):
    """What a tenant used, by day."""

    days: list[UsedDay]


class AuditEntry(msgspec.Struct, frozen=True):
    """One change of the audit trail."""

    time: float
    who: str
    what: str
    address: str | None
    tenant: str | None
    about: dict[str, str]


class AuditEntries(msgspec.Struct, frozen=True):
    """One page of it, the newest first."""

    entries: list[AuditEntry]
    next: str | None


class Environ(msgspec.Struct, frozen=True):
    """All variables of a tenant."""

    variables: list[EnvironVariable]


class Reason(msgspec.Struct, frozen=True):
    """Why a module, or its newest version, does not serve."""

    text: str


class OwnedModule(msgspec.Struct, frozen=True):
    """One module as the control plane lists it."""

    name: str
    source: str
    endpoints: int
    problem: Reason | None


class Modules(msgspec.Struct, frozen=True):
    """One page of modules."""

    modules: list[OwnedModule]


class Exposed(msgspec.Struct, frozen=True):
    """One function that can be called."""

    api: str
    methods: list[str]
    path: str


class Uploaded(msgspec.Struct, frozen=True):
    """A module that was uploaded."""

    name: str
    exposes: list[Exposed]


class Version(msgspec.Struct, frozen=True):
    """One version of an uploaded module."""

    number: int
    created: float
    signed_by: str
    serves: bool


class Versions(msgspec.Struct, frozen=True):
    """The versions of a module that are kept, the newest last."""

    versions: list[Version]


class InstallationKey(msgspec.Struct, frozen=True):
    """What uploads can be sealed to."""

    public_key: str


class SigningKey(msgspec.Struct, frozen=True):
    """A key that uploads may be signed with."""

    id: str
    name: str
    created: float


class SigningKeys(msgspec.Struct, frozen=True):
    """Those of a tenant."""

    keys: list[SigningKey]


class ApiKey(msgspec.Struct, frozen=True):
    """A key of a tenant, without what is secret of it."""

    id: str
    name: str
    scopes: list[str]
    created: float
    expires: float | None


class ApiKeys(msgspec.Struct, frozen=True):
    """Those of a tenant."""

    keys: list[ApiKey]


def read(value: Any, kind: type[_T]) -> _T:
    """The answer as `kind`. Raises Problem when it is not one: another version answers."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Problem(f"This plugbay does not understand the server's answer: {error}", NOT_REACHABLE) from error
