"""What the control plane takes and gives, as its OpenAPI document describes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from settings import MAX_URL_PARMS, RequireTokens

MAX_PAGE = 500

Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
CallId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
EndpointCursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,255}/[A-Za-z0-9_-]{1,255}/[A-Z]{1,10}$")]


class Given(BaseModel):
    """What a client sends: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Shown(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(from_attributes=True)


class FieldProblem(Shown):
    """What is wrong with one field."""

    field: str = Field(description="Field, parameter or header concerned", examples=["size"])
    problem: str = Field(description="What is wrong with it", examples=["Input should be a valid integer"])


class Problem(Shown):
    """The body of every answer that is not 2xx."""

    status: str = Field(description="What is wrong, in one sentence", examples=["The request is not valid."])
    errors: list[FieldProblem]


class NoQuery(BaseModel):
    """The route takes no query parameters."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(NoQuery):
    """Which page of a list."""

    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Items of a page at most")


class ModulesQuery(PageQuery):
    """Which modules."""

    cursor: Slug | None = Field(None, description="`next` of the page before")


class EndpointsQuery(PageQuery):
    """Which endpoints."""

    module: Slug | None = Field(None, description="Only those of this module (its name, not its alias)")
    cursor: EndpointCursor | None = Field(None, description="`next` of the page before")


OwnerUuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class LogsQuery(PageQuery):
    """Which records of the log."""

    tenant: OwnerUuid | None = Field(
        None, description="Those of this tenant or further admin, by the key of an admin whose it is; else one's own"
    )
    module: Slug | None = Field(None, description="Only those of this module (its name, not its alias)")
    call: CallId | None = Field(None, description="Only that of this call: the `X-Call-Id` of its answer")
    cursor: int | None = Field(None, ge=1, le=2**53, description="`next` of the page before")
    follow: bool = Field(
        False, description="Answer with the last `limit` records, the oldest first, and then each new one as it comes"
    )


class ModuleProblem(Shown):
    """Why a module, or its newest version, does not serve."""

    text: str = Field(examples=["NameError: name 'jsn' is not defined"])
    line: int | None = Field(description="Line of the source, where known", examples=[12])
    since: float = Field(description="Unix time at which it was first seen")


class Module(Shown):
    """One module."""

    name: str = Field(examples=["hello"])
    alias: str | None = Field(description="Second name, from `__alias__`", examples=["v1"])
    digest: str | None = Field(description="Content address of the version that serves; null: none ever did")
    source: str = Field(description="File or package folder, relative to its plugin folder", examples=["hello.py"])
    endpoints: int = Field(description="Functions it exposes", examples=[3])
    problem: ModuleProblem | None = Field(description="Of a version newer than the one that serves, or of the only one")


class Modules(Shown):
    """One page of modules, by name."""

    modules: list[Module]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last")


class Parameter(Shown):
    """One declared parameter of a function."""

    name: str = Field(examples=["name"])
    type: str = Field(description="Its annotation as written; empty: none", examples=["str"])
    required: bool
    default: str = Field(description="`repr` of its default; empty when required", examples=["'World'"])


class Endpoint(Shown):
    """One function exposed under one API name."""

    module: str = Field(examples=["hello"])
    api: str = Field(examples=["hello-world"])
    methods: list[str] = Field(examples=[["GET", "PUT"]])
    path: str = Field(description="Where it is called", examples=["/rest/services/hello/hello-world/"])
    function: str = Field(description="Name of the function", examples=["foo"])
    doc: str = Field(description="Docstring of the function", examples=["Says hello."])
    concurrent: bool = Field(description="An `async def` function, which shares its worker with others of its kind")
    timeout: float | None = Field(description="Seconds it may run; null: MAX_FUNCTION_SECS")
    concurrency: int | None = Field(description="Calls at once; null: no limit of its own")
    parameters: list[Parameter]


class Endpoints(Shown):
    """One page of endpoints, by module and API."""

    endpoints: list[Endpoint]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last")


class ModuleDetail(Module):
    """One module with what its source says of it."""

    doc: str = Field(description="Docstring of the module")
    functions: list[str] = Field(description="Public functions that are not exposed")
    imports: list[str] = Field(description="Top-level names of what it imports")


class Runner(Shown):
    """One runner now."""

    id: str = Field(examples=["5f0c9a1b2d3e4f60"])
    state: str = Field(description="`starting`, `prewarmed`, `bound`, `draining`, `stopped` or `failed`")
    owner: str | None = Field(description="UUID of the owner; null: nobody yet")
    workers: int = Field(description="Processes that run calls")
    busy: int = Field(description="Workers with a call in flight")
    calls: int = Field(description="Calls answered since it started")
    age_secs: float
    host: str = Field(description="Name of the host it runs on", examples=["plugbay"])


class Pool(Shown):
    """One pool now."""

    name: str = Field(
        description="`admin`, `prewarmed`, or the UUID of the tenant or further admin", examples=["admin"]
    )
    kind: str = Field(description="`admin`, `admins`, `prewarmed` or `tenants`", examples=["admin"])
    size: int = Field(description="Runners wanted", examples=[2])
    runners: list[Runner]
    queue: int = Field(description="Calls waiting for a worker")
    cold_starts: int = Field(description="Workers started because calls waited for one")
    kills: dict[str, int] = Field(description="Workers killed or found dead, by reason", examples=[{"time limit": 1}])


class Host(Shown):
    """One runner host now."""

    name: str = Field(examples=["plugbay"])
    draining: bool = Field(description="It finishes the calls it has; new ones go to other hosts")
    capacity: int = Field(description="Calls it runs well at once", examples=[8])
    load: int = Field(description="Unanswered calls it holds")


class Pools(Shown):
    """All pools, the admin's first, and the hosts that they are on. Pools of one name on several hosts are one."""

    pools: list[Pool]
    hosts: list[Host]


class PoolSize(Given):
    """How many runners a pool is to have."""

    size: int = Field(
        ge=0, le=2**31, description="Runners wanted on all hosts together; each host has its bound", examples=[3]
    )


class RuntimeSetting(Shown):
    """One setting that may change while the platform runs."""

    name: str = Field(examples=["NUM_URL_PARMS"])
    value: int | str = Field(description="What holds now", examples=[12])
    default: int | str = Field(description="What the platform was started with", examples=[10])
    source: Literal["control plane", ".env"] = Field(description="Where the value is from")


class RuntimeSettings(Shown):
    """All settings that may change while the platform runs."""

    settings: list[RuntimeSetting]


class SettingsChange(Given):
    """Settings to change, all or none; null goes back to `.env`. `URL_PARM<n>` names the n-th URL parameter. Once a
    change that has more calls take tokens is answered, no gateway serves one of them without."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"NUM_URL_PARMS": 12, "URL_PARM1": "city", "URL_PARM2": None}]}
    )
    __pydantic_extra__: dict[str, str | None] = Field(init=False)

    REQUIRE_TOKENS: RequireTokens | None = Field(None, description="Which calls take a token")
    NUM_URL_PARMS: int | None = Field(None, ge=0, le=MAX_URL_PARMS, description="URL parameters a call may have")


class LogRecord(Shown):
    """What one call printed."""

    number: int = Field(description="Position in the log; grows")
    time: float = Field(description="Unix time at which the call was answered")
    call: str = Field(description="`X-Call-Id` of its answer", examples=["0f" * 16])
    owner: str
    module: str = Field(examples=["hello"])
    api: str = Field(examples=["hello-world"])
    outcome: str = Field(description="How the call ended", examples=["RAISED"])
    status: int = Field(description="HTTP status of its answer", examples=[500])
    text: str = Field(description="What the function printed, with its traceback when it raised")
    truncated: bool = Field(description="It printed more than MAX_LOG_BYTES")
    run_ms: float = Field(description="Milliseconds it ran")
    missed: int = Field(0, description="When following: records before this one that the reader was too slow for")


class LogRecords(Shown):
    """One page of the log, the newest record first."""

    records: list[LogRecord]
    next: int | None = Field(description="`cursor` of the page with older records; null: there are none")
