"""Every setting there is, with its unit and default: the README's table is made from this class.

Values come from `.env` (committed, settings only), then `.env.local` (generated secrets), then real
environment variables; the later wins.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

ROOT = Path(__file__).resolve().parent
HOME_VARIABLE = "PLUGBAY_HOME"
"""The environment variable that names an installation's folder, where that is not the program's: see `HOME`."""
HOME = Path(os.environ.get(HOME_VARIABLE) or ROOT).absolute()
"""Folder of the installation: its `.env` and `.env.local`, and where relative paths in settings begin."""

_SLUG = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_SECRET = {
    "ADMIN_KEY",
    "PROXY_SECRET",
    "MONGO_URI",
    "REDIS_URL",
    "KEPT_URL",
    "SECRETS_KEY",
    "SECRETS_KEY_OLD",
    "OIDC_CLIENT_SECRET",
    "INSTALLATION_KEY",
    "INSTALLATION_KEY_OLD",
}
"""Settings that are not shown when they are wrong."""
_NUMBERED = re.compile(r"URL_PARM([1-9][0-9]*)")
STACK_SECRETS = r"(MONGO|MONGO_ROOT|NOTES_MONGO|REDIS_GATEWAY|REDIS_HOST)_PASSWORD|OIDC_COOKIE_SECRET"
"""Pattern of the names of what ./docker-up.sh makes for the stack's services."""
_OTHER_NAMES = re.compile(rf"URL_PARM\d+|{STACK_SECRETS}|(COMPOSE|DOCKER)_\w+")
"""What else stands in `.env` and `.env.local`; Compose and Docker read those that begin with their names."""
_MONGO_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,37}$"

MIB = 1024 * 1024
MAX_URL_PARMS = 100
"""URL parameters at most, whatever is set."""


RequireTokens = Literal["none", "tenants", "all"]
"""Which calls take a token: the later the stricter."""


class BadSettings(Exception):
    """One or more settings are wrong; the message names each and the values it takes."""


class Settings(BaseModel):
    """One process tree's settings."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)  # defaults are relative, too

    ADMIN_UUID: UUID = Field(description="UUID of this installation's admin; made at the first start")
    ADMIN_KEY: str = Field(
        min_length=16, repr=False, description="Bearer key of the control plane; made at the first start"
    )

    PLUGINS: Annotated[tuple[Path, ...], Field(min_length=1)] = Field(
        default=(Path("plugins"),), description="Folders with modules, `:` between them"
    )
    DATA_DIR: Path = Field(default=Path("data"), description="Folder of the embedded store and installed packages")
    MONGO_URI: str = Field(
        default="",
        pattern=r"^(mongodb(\+srv)?://.+)?$",
        repr=False,
        description="Address of MongoDB, with user and password; empty: the embedded store in DATA_DIR",
    )
    MONGO_DATABASE: str = Field(default="VYPERADMIN", pattern=_MONGO_NAME, description="MongoDB database")
    MONGO_TENANT: str = Field(default="TENANT", pattern=_MONGO_NAME, description="Its collection of tenants")
    MONGO_MODULES: str = Field(
        default="MODULES",
        pattern=_MONGO_NAME,
        description="Its collection of modules, and how the names of those with their bundles begin",
    )
    MONGO_AUDIT: str = Field(default="AUDIT", pattern=_MONGO_NAME, description="Its collection of who changed what")
    MONGO_ADMIN: str = Field(
        default="ADMIN",
        pattern=_MONGO_NAME,
        description="Its collection of further admins; the one of an installation's own data is named after it, with "
        "`-<ADMIN_UUID>` behind",
    )
    GATEWAY_HOST: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on")
    GATEWAY_PORT: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one")

    HTTP_HOST: str = Field(
        default="127.0.0.1", min_length=1, description="Address of this machine that the stack publishes its port on"
    )
    HTTP_PORT: int = Field(default=8080, ge=1, le=65535, description="Port that the stack publishes")
    TLS_CERT: str = Field(
        default="", description="File with the certificate and its chain; with TLS_KEY, the stack speaks HTTPS"
    )
    TLS_KEY: str = Field(default="", description="File with the certificate's key, readable for user id 64003")
    PROXY_SECRET: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]{16,128})?$",
        repr=False,
        description="What nginx proves itself with in `X-Plugbay-Proxy`, so that its `X-Forwarded-For` names the "
        "client; empty: no proxy is believed",
    )
    GATEWAYS: int = Field(default=1, ge=1, le=16, description="Gateways of the stack, all behind its nginx")
    REDIS_URL: str = Field(
        default="",
        repr=False,
        description="Redis between gateways and runner hosts, with user and password; empty: one process tree",
    )

    KEPT_URL: str = Field(
        default="",
        repr=False,
        description="Redis that keeps asynchronous calls and results, which should write them to a disk; "
        "empty: the one at REDIS_URL, or a file in DATA_DIR",
    )

    SECRETS_KEY: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])?$",
        repr=False,
        description="Key that secrets in the store are encrypted with, 32 bytes as base64url; made at the first start",
    )
    SECRETS_KEY_OLD: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])?$",
        repr=False,
        description="SECRETS_KEY as it was before: the next start encrypts with the new one what this one did",
    )
    INSTALLATION_KEY: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])?$",
        repr=False,
        description="Private key that sealed uploads are opened with, 32 bytes as base64url; made at the first start",
    )
    INSTALLATION_KEY_OLD: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])?$",
        repr=False,
        description="INSTALLATION_KEY as it was before: what is still sealed to it is opened, too",
    )
    REQUIRE_TOKENS: RequireTokens = Field(
        default="none", description="Which calls take a token: `none`, those of `tenants`, or `all`"
    )
    TOKEN_SECS: int = Field(default=30, ge=5, le=300, description="Seconds that a token is good for")

    REQUIRE_SIGN_IN: Literal["none", "tenants", "all"] = Field(
        default="none",
        description="Which calls take somebody who is signed in: `none`, those of `tenants`, or `all`",
    )
    OIDC_ISSUER: str = Field(
        default="",
        pattern=r"^(https?://[^\s\"'$\\]+)?$",
        description="Address of the OpenID provider by which people sign in to the stack; empty: nobody does",
    )
    OIDC_CLIENT_ID: str = Field(default="", description="What the provider knows this installation as")
    OIDC_CLIENT_SECRET: str = Field(
        default="", repr=False, description="What this installation proves itself with to the provider"
    )
    OIDC_SCOPE: str = Field(
        default="openid email profile",
        description="What the provider is asked for; some tell groups only where `groups` is among it",
    )
    OIDC_EMAIL_DOMAINS: str = Field(
        default="*", min_length=1, description="Domains whose e-mail addresses may sign in, `,` between them; `*`: all"
    )
    OIDC_GROUPS: str = Field(
        default="", description="Groups of the provider that may sign in, `,` between them; empty: everybody"
    )
    SIGN_IN_HOURS: int = Field(default=8, ge=1, le=720, description="Hours after which somebody has to sign in anew")
    PUBLIC_URL: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+)?$",
        description="Address under which people reach the stack, to come back to from the provider",
    )

    USAGE_DAYS: int = Field(
        default=92, ge=1, le=366, description="Days for which it is kept what tenants used, today included"
    )
    AUDIT_DAYS: int = Field(default=366, ge=1, le=3660, description="Days for which it is kept who changed what")
    AUDIT_ENTRIES: int = Field(
        default=10_000,
        ge=100,
        le=1_000_000,
        description="Changes that are kept of the admin, and of each tenant: the newest",
    )

    NUM_URL_PARMS: int = Field(default=10, ge=0, le=MAX_URL_PARMS, description="URL parameters a call may have")
    URL_PARMS: tuple[str, ...] = Field(
        default=(), description="Names of the URL parameters; `parm_<n>` for those not named"
    )

    ADMIN_RUNNERS: int = Field(default=1, ge=1, le=64, description="Runners of the admin pool at the start")
    MAX_RUNNERS: int = Field(default=16, ge=1, le=1000, description="Runners in all, the most a pool can be scaled to")
    RUNNER_WORKERS: int = Field(
        default=8, ge=1, le=64, description="Workers (processes running calls) per admin runner at most"
    )
    WARM_WORKERS: int = Field(default=2, ge=1, le=64, description="Workers per runner kept ready")
    WORKER_IDLE_SECS: float = Field(
        default=60,
        gt=0,
        le=86400,
        description="Seconds after which an idle worker above WARM_WORKERS ends; of a tenant's, every idle worker",
    )
    WORKER_ASYNC_CALLS: int = Field(default=64, ge=1, le=1000, description="`async def` calls one worker runs at once")
    WORKER_MEMORY_MB: int = Field(
        default=0, ge=0, le=1024 * 1024, description="MiB of address space per worker; 0: no limit"
    )

    RUNNER_MAX_CALLS: int = Field(
        default=100_000, ge=0, description="Calls a tenant's runner answers until it is replaced; 0: any number"
    )
    PLANS: Path = Field(
        default=Path("plans.toml"), description="File with the plans: memory, CPUs, runners and workers of each tenant"
    )
    PREWARMED_RUNNERS: int = Field(
        default=2, ge=0, le=1000, description="Runners kept ready for tenants that have none yet"
    )
    MAX_TENANT_RUNNERS: int = Field(default=32, ge=1, le=10_000, description="Runners of all tenants together")
    TENANT_IDLE_SECS: float = Field(
        default=600, gt=0, le=86400, description="Seconds without a call after which a tenant's runner ends"
    )
    TENANT_STARTS_PER_MINUTE: int = Field(
        default=10, ge=1, le=1000, description="Runners one tenant may use up in a minute"
    )

    HOST_NAME: str = Field(
        default="plugbay",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="Name of a runner host, which no other host on the same Redis or Docker Engine has",
    )
    LAUNCHER: Literal["docker", "process"] = Field(
        default="docker",
        description="What the stack's runners are: containers, or processes for the admin's code alone",
    )
    TENANT_RUNTIME: str = Field(
        default="runc",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Docker runtime of tenants' runners: `runc`, or `runsc` for gVisor",
    )
    DOCKER_SOCKET: Path = Field(default=Path("/var/run/docker.sock"), description="Socket of the Docker Engine")
    RUNNERS_DIR: Path = Field(
        default=Path("/var/lib/plugbay/plugbay"),
        description="Folder of runners' sockets, at the same path for the Docker Engine",
    )
    ADMIN_NETWORK: str = Field(
        default="plugbay_admin",
        min_length=1,
        description="Docker network of the admin's runners; the stack has its own",
    )
    ADMIN_IMAGE: str = Field(
        default="plugbay-runner-admin",
        min_length=1,
        description="Image of the admin's runners; the stack builds its own",
    )
    TENANT_IMAGE: str = Field(
        default="plugbay-runner-tenant", min_length=1, description="Image of tenants' runners; the stack builds its own"
    )
    ADMIN_MEMORY_MB: int = Field(
        default=1024, ge=64, le=1024 * 1024, description="MiB of memory of an admin runner's container, `/tmp` included"
    )
    ADMIN_CPUS: float = Field(default=0, ge=0, le=1024, description="CPUs of an admin runner's container; 0: all")

    MAX_FUNCTION_SECS: float = Field(
        default=30, gt=0, le=86400, description="Seconds a function may run; endpoints may ask for less, not for more"
    )
    MAX_QUEUE_SECS: float = Field(default=10, gt=0, le=3600, description="Seconds a call may wait for a worker")
    MAX_IMPORT_SECS: float = Field(default=10, gt=0, le=600, description="Seconds importing a module may take")
    MAX_QUEUE: int = Field(default=1000, ge=1, le=100_000, description="Unanswered calls per owner")
    MAX_QUEUE_TOTAL: int = Field(default=2000, ge=1, le=1_000_000, description="Unanswered calls in all")

    RESULT_SECS: float = Field(
        default=3600,
        gt=0,
        le=604800,
        description="Seconds that the result of an asynchronous call is kept, and that one waits for its turn",
    )
    MAX_RESULTS: int = Field(
        default=1000, ge=1, le=100_000, description="Results kept of the admin, and of a tenant whose plan says no less"
    )
    MAX_KEPT: int = Field(default=1000, ge=1, le=100_000, description="Asynchronous calls without a result, per owner")
    MAX_KEPT_TOTAL: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Asynchronous calls without a result, in all"
    )
    MAX_KEPT_BYTES: int = Field(
        default=256 * MIB,
        ge=128 * MIB,
        description="Bytes of asynchronous calls and results in all, of which one owner has a quarter at most; "
        "the stack's Redis for them has room for 512 MiB",
    )
    KEPT_AT_ONCE: int = Field(default=16, ge=1, le=1000, description="Asynchronous calls that one gateway runs at once")

    MAX_BODY_BYTES: int = Field(default=10 * MIB, ge=1024, le=16 * MIB, description="Bytes of a request body")
    MAX_HELD_BYTES: int = Field(
        default=128 * MIB,
        ge=32 * MIB,
        description="Bytes kept for clients in all: of bodies being received or waiting for an answer, and of answers "
        "not read yet; memory is some three times as much",
    )
    MAX_RESULT_BYTES: int = Field(default=16 * MIB, ge=1024, le=16 * MIB, description="Bytes of a function's result")
    MAX_BODY_FIELDS: int = Field(
        default=1000, ge=1, le=100_000, description="Top-level fields of a body, and query parameters"
    )
    MAX_HEADERS: int = Field(default=100, ge=10, le=1000, description="Headers of a request")
    MAX_HEADER_BYTES: int = Field(
        default=32 * 1024, ge=1024, le=MIB, description="Bytes of a request line with all headers"
    )
    HEADER_SECS: float = Field(default=10, gt=0, le=600, description="Seconds a client may take to send its headers")
    BODY_SECS: float = Field(default=30, gt=0, le=3600, description="Seconds a client may take to send its body")
    WRITE_SECS: float = Field(
        default=30, gt=0, le=3600, description="Seconds a client may go without reading any of its answer"
    )
    KEEPALIVE_SECS: float = Field(default=30, gt=0, le=3600, description="Seconds an idle connection is kept")
    MAX_CONNECTIONS: int = Field(default=2000, ge=1, le=100_000, description="Open connections")

    MAX_SOURCE_BYTES: int = Field(default=256 * 1024, ge=1024, le=MIB, description="Bytes of one source file")
    MAX_BUNDLE_BYTES: int = Field(
        default=10 * MIB, ge=1024, le=16 * MIB, description="Bytes of a package folder, all files together"
    )
    MAX_MODULES: int = Field(default=5000, ge=1, le=100_000, description="Modules served from the plugin folders")
    MAX_TENANT_MODULES: int = Field(default=100, ge=1, le=10_000, description="Modules that one tenant may upload")
    MAX_MODULE_VERSIONS: int = Field(default=10, ge=1, le=100, description="Versions kept of an uploaded module")
    REQUIRE_SIGNED_MODULES: Literal["none", "tenants", "all"] = Field(
        default="none",
        description="Whose uploads have to be signed: `none`, those of `tenants`, or `all`; "
        "files in plugin folders are trusted by their folder",
    )

    MAX_LOG_BYTES: int = Field(default=64 * 1024, ge=1024, le=MIB, description="Bytes of output kept per call")
    LOGS_KEPT_BYTES: int = Field(
        default=16 * MIB, ge=64 * 1024, description="Bytes of output kept in all, the oldest dropped first"
    )
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged"
    )
    LOG_FILE: str = Field(
        default="",
        description="File that the embedded kind's log goes to; full at 32 MiB, it is kept as `<name>.1`. Empty: "
        "standard error",
    )
    CORS_ORIGINS: str = Field(default="*", description="`Access-Control-Allow-Origin` of the data plane; empty: none")
    DRAIN_SECS: float = Field(
        default=30, ge=0, le=3600, description="Seconds calls in flight get to finish when the platform stops"
    )

    ADMIN_ENV_FILE: Path = Field(
        default=Path("secrets/plugins.env"),
        description="File with environment variables of the admin's functions, in a folder of its own; "
        "a change counts within a second",
    )

    PYTHON_IMAGE: str = Field(
        default="python:3.11-slim-bookworm", min_length=1, description="What the stack's own images are built from"
    )
    NGINX_IMAGE: str = Field(
        default="nginx:1.28-alpine",
        min_length=1,
        description="The stack's nginx; all images can be given with a digest",
    )
    REDIS_IMAGE: str = Field(
        default="redis:7.2-alpine", min_length=1, description="The stack's Redis, 7.0 or newer; Valkey works as well"
    )
    MONGO_IMAGE: str = Field(default="mongo:7.0", min_length=1, description="The stack's MongoDB, 6.0 or newer")

    OAUTH2_PROXY_IMAGE: str = Field(
        default="quay.io/oauth2-proxy/oauth2-proxy:v7.15.3",
        min_length=1,
        description="The stack's sign-in service, 7.15.2 or newer",
    )

    @field_validator("PLUGINS", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(":") if part)
        return value

    @field_validator("PLUGINS")
    @classmethod
    def _resolve_folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple((HOME / folder.expanduser()).absolute() for folder in value)

    @field_validator("DATA_DIR", "PLANS", "ADMIN_ENV_FILE")
    @classmethod
    def _resolve(cls, value: Path) -> Path:
        return (HOME / value.expanduser()).absolute()

    @field_validator("URL_PARMS")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_parameter_names(value)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.WARM_WORKERS > self.RUNNER_WORKERS:
            raise ValueError("WARM_WORKERS is larger than RUNNER_WORKERS")
        if self.ADMIN_RUNNERS > self.MAX_RUNNERS:
            raise ValueError("ADMIN_RUNNERS is larger than MAX_RUNNERS")
        if self.REQUIRE_SIGN_IN != "none" and not self.PROXY_SECRET:
            raise ValueError("REQUIRE_SIGN_IN takes a proxy that says who is signed in: set its PROXY_SECRET")
        if len({self.MONGO_TENANT, self.MONGO_MODULES, self.MONGO_AUDIT, self.MONGO_ADMIN}) < 4:
            raise ValueError("MONGO_TENANT, MONGO_MODULES, MONGO_AUDIT and MONGO_ADMIN are to be four names")
        return self


RESERVED = frozenset({"func", "module", "uuid", "args", "self", "cls"})


def check_parameter_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, when each can name a URL parameter. Raises ValueError saying which cannot and why."""
    for name in names:
        if not _SLUG.fullmatch(name) or name in RESERVED:
            raise ValueError(f"{name!r} cannot name a URL parameter: letters, digits and _, beginning with a letter")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        first, second = [f"URL_PARM{number}" for number, name in enumerate(names, 1) if name == twice][:2]
        raise ValueError(f"{first} and {second} have the same name, {twice!r}: give one another")
    return names


def parameter_names(count: int, given: Mapping[int, str]) -> tuple[str, ...]:
    """Names of the first `count` URL parameters: those given by number, `parm_<n>` for the others."""
    return tuple(given.get(number, f"parm_{number}") for number in range(1, count + 1))


def read(file: Path) -> dict[str, str | None]:
    """What a file of settings says; nothing when there is none. Raises BadSettings."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise BadSettings(f"{file} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise BadSettings(f"{file} cannot be read: {error.strerror}") from error
    for statement in parse_stream(StringIO(text)):
        if statement.error:
            raise BadSettings(f"{file}, line {statement.original.line}: write NAME=value, or # before a comment")
    return dotenv_values(stream=StringIO(text))


def load(folder: Path = HOME, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of `.env` and `.env.local` in `folder`, overridden by `environ`. Raises BadSettings."""
    values: dict[str, str] = {}
    files = [folder / ".env", folder / ".env.local"]
    for source in (*map(_known, files), environ):
        values |= {name: value for name, value in source.items() if value is not None}
    known = {
        name: value
        for name, value in values.items()
        if name in Settings.model_fields and name != "URL_PARMS" and value != ""
    }
    numbered = {int(match[1]): value for name, value in values.items() if (match := _NUMBERED.fullmatch(name))}
    try:
        count = int(known.get("NUM_URL_PARMS", Settings.model_fields["NUM_URL_PARMS"].default))
        for number, name in numbered.items():
            try:
                check_parameter_names((name,))
            except ValueError as error:
                raise BadSettings(f"URL_PARM{number}: {error}") from error
        named = max([0, *(number for number in numbered if number <= MAX_URL_PARMS)])
        names = parameter_names(max(min(count, MAX_URL_PARMS), named), numbered)
        return Settings.model_validate(known | {"URL_PARMS": names})
    except ValidationError as error:
        raise BadSettings("; ".join(_describe(problem) for problem in error.errors())) from error
    except ValueError as error:
        raise BadSettings(f"NUM_URL_PARMS: must be an integer (is {known['NUM_URL_PARMS']!r})") from error


def _known(file: Path) -> dict[str, str | None]:
    """What a file of settings says. Raises BadSettings, also for a name that is none: it would change nothing."""
    values = read(file)
    for name in values:
        if name not in Settings.model_fields and not _OTHER_NAMES.fullmatch(name):
            near = difflib.get_close_matches(name, Settings.model_fields, 1)
            raise BadSettings(f"{file.name}: there is no setting {name}" + (f"; is {near[0]} meant?" if near else ""))
    return values


def _describe(problem: Mapping[str, object]) -> str:
    where = problem.get("loc")
    name = str(where[0]) if isinstance(where, tuple) and where else ""
    if name == "URL_PARMS":  # its validator names the settings that it is made of
        return str(problem.get("msg")).removeprefix("Value error, ")
    shown = "" if name in _SECRET or not name else f" (is {problem.get('input')!r})"
    return f"{name or 'settings'}: {problem.get('msg')}{shown}".replace("Value error, ", "")


def table() -> str:
    """The README's Markdown table of all settings."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() else field.default
        if isinstance(default, tuple):
            default = ":".join(str(part) for part in default)
        shown = "`URL_PARM1`, `URL_PARM2`, …" if name == "URL_PARMS" else f"`{name}`"
        rows.append(f"| {shown} | {f'`{default}`' if str(default) else ''} | {field.description} |")
    return "\n".join(rows)
