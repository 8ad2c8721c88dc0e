"""Plans: what a tenant gets, and what it may. `plans.toml` holds those of this installation."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from settings import MIB, BadSettings

FREE: Final = "free"
"""The plan of every tenant that has no other; `plans.toml` must have it."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")

_Import = Annotated[str, StringConstraints(pattern=r"^(\*|@default|[A-Za-z_][A-Za-z0-9_]{0,99})$")]

ANY: Final = "*"
"""In a plan's `imports`: whatever is there."""
DEFAULT: Final = "@default"
"""In a plan's `imports`: all of DEFAULT_IMPORTS."""
ALWAYS_IMPORTS: Final = frozenset({"__future__", "expose", "vyperlogix"})
"""Without these there would be no module with an endpoint."""
DEFAULT_IMPORTS: Final = ALWAYS_IMPORTS | frozenset(
    """
    msgspec pyotp

    _thread abc argparse array ast asyncio atexit base64 bdb binascii bisect builtins bz2 cProfile calendar cmath cmd
    code codecs codeop collections colorsys concurrent configparser contextlib contextvars copy copyreg csv dataclasses
    datetime dbm decimal difflib dis doctest email encodings enum errno faulthandler fcntl filecmp fileinput fnmatch
    fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html
    http imaplib importlib inspect io ipaddress itertools json keyword linecache locale logging lzma mailbox marshal
    math mimetypes mmap modulefinder multiprocessing netrc ntpath numbers opcode operator optparse os pathlib pdb
    pickle pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats pwd pyclbr pydoc pyexpat queue
    quopri random re reprlib resource runpy sched secrets select selectors shelve shlex shutil signal smtplib socket
    socketserver sqlite3 ssl stat statistics string stringprep struct subprocess symtable sys sysconfig tabnanny
    tarfile tempfile textwrap threading time timeit token tokenize tomllib trace traceback tracemalloc types typing
    unicodedata unittest urllib uuid warnings wave weakref wsgiref xml xmlrpc zipfile zipimport zlib zoneinfo
    """.split()  # noqa: SIM905  # two hundred names, to be read
)
"""What tenants' code may import where the plan says nothing else: what runners have preloaded, and of the standard
library what is of use in a sandbox, in every Python that Plugbay runs on. docs/tenants.md says what is left out."""


class Plan(BaseModel):
    """What one tenant gets on one runner host, and what it may of the whole installation. A field's description says
    which values it takes; one that may be left out, and is, leaves the installation's own bound."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    memory_mb: int = Field(
        ge=64, le=1024 * 1024, description="MiB of memory per runner, `/tmp` included: an integer from 64 to 1048576"
    )
    cpus: float = Field(
        ge=0.01, le=1024, allow_inf_nan=False, description="CPUs per runner: a number from 0.01 to 1024"
    )
    runners: int = Field(ge=1, le=1000, description="runners at most: an integer from 1 to 1000")
    workers: int = Field(ge=1, le=16, description="workers per runner at most: an integer from 1 to 16")
    rate: float | None = Field(
        default=None,
        ge=0.001,
        le=1e6,
        allow_inf_nan=False,
        description="calls per second: a number from 0.001 to 1000000",
    )
    burst: int | None = Field(
        default=None, ge=1, le=1_000_000, description="calls at once after a pause: an integer from 1 to 1000000"
    )
    concurrency: int | None = Field(
        default=None, ge=1, le=10_000, description="calls that run at once: an integer from 1 to 10000"
    )
    queue: int | None = Field(
        default=None, ge=0, le=10_000, description="calls that wait for those: an integer from 0 to 10000"
    )
    seconds: float | None = Field(
        default=None, ge=0.1, le=86400, allow_inf_nan=False, description="seconds per call: a number from 0.1 to 86400"
    )

    modules: int | None = Field(
        default=None, ge=1, le=100_000, description="uploaded modules: an integer from 1 to 100000"
    )

    bundle_bytes: int | None = Field(
        default=None, ge=1024, le=2**30, description="bytes of one upload: an integer from 1024 to 1073741824"
    )

    results: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="results kept of asynchronous calls: an integer from 0 (none are taken) to 100000",
    )

    imports: tuple[_Import, ...] = Field(
        default=(DEFAULT,),
        strict=False,
        max_length=1000,
        description="what its code may import: a list of up to 1000 names without dots, '@default' and '*'",
    )

    @property
    def importable(self) -> frozenset[str] | None:
        """Top-level names that its tenants' code may import besides what they bring along. None: any."""
        if ANY in self.imports:
            return None
        defaults = DEFAULT_IMPORTS if DEFAULT in self.imports else frozenset()
        return (ALWAYS_IMPORTS | defaults | set(self.imports)) - {DEFAULT}

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory per runner."""
        return self.memory_mb * MIB


def load(path: Path) -> Mapping[str, Plan]:
    """Name → plan, of the TOML file at `path`. Raises BadSettings naming plan, field and the values it takes."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(f"PLANS: {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"PLANS: {path} is no TOML: {error}") from error
    plans: dict[str, Plan] = {}
    problems: list[str] = []
    for name, table in tables.items():
        if not _NAME.fullmatch(name):
            problems.append(f"plan {name!r}: a name is up to 32 of a-z, 0-9, _ and -, and begins with a letter")
            continue
        try:
            plans[name] = Plan.model_validate(table)
        except ValidationError as error:
            problems += [f"plan {name}: {_describe(problem)}" for problem in error.errors()]
    if FREE not in tables:
        problems.append(f"plan {FREE}: is missing, and tenants without another plan have it")
    if problems:
        raise BadSettings(f"PLANS: {path}: {'; '.join(problems)}")
    return MappingProxyType(plans)


def of(known: Mapping[str, Plan], name: str) -> tuple[str, Plan]:
    """The plan of this name, with its name; `free` in the place of one that is in the file no more."""
    return (name, known[name]) if name in known else (FREE, known[FREE])


def _describe(problem: Mapping[str, Any]) -> str:
    if not problem["loc"]:
        return f"must be a table of {', '.join(Plan.model_fields)}"
    name = str(problem["loc"][0])
    if name not in Plan.model_fields:
        return f"{name}: there is no such field, only {', '.join(Plan.model_fields)}"
    told = "is missing" if problem["type"] == "missing" else f"is {problem['input']!r}"
    return f"{name}: {Plan.model_fields[name].description} ({told})"
