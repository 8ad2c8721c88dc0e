"""`plugbay store`: what the store holds, copied to a file and back; also from one kind of store to the other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from cli import installation, options
from cli.output import output
from cli.problem import Problem

if TYPE_CHECKING:
    from store.contract import Store
    from store.transfer import Copied

app = typer.Typer(no_args_is_help=True)


@app.callback()
def store() -> None:
    """Copy tenants, modules, run-time settings and the audit trail to a file and back, between any two stores."""


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")], as_json: options.Json = False
) -> None:
    """Write what the store holds to a file. The embedded store has to be stopped for it, MongoDB not."""
    from store.transfer import export_store

    _copy(_written(file), export_store, "Exported", as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `plugbay store export` wrote.")], as_json: options.Json = False
) -> None:
    """Store what a file holds, in place of what has the same name. The embedded store has to be stopped for it."""
    from store.transfer import import_store

    _copy(_read(file), import_store, "Imported", as_json)


@contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """A new file that only its owner may read, as modules may hold secrets; removed when it is not completed."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
        try:
            yield stream
            stream.flush()
        except BaseException:
            file.unlink()
            raise


@contextmanager
def _read(file: Path) -> Iterator[BinaryIO]:
    with file.open("rb") as stream:
        yield stream


def _copy(
    opened: AbstractContextManager[BinaryIO],
    copy: Callable[[Store, BinaryIO], Awaitable[Copied]],
    done: str,
    as_json: bool,
) -> None:
    from settings import BadSettings
    from store.contract import StoreUnavailable
    from store.records import BadFile
    from store.transfer import Interfered

    with output(as_json) as out:
        try:
            with opened as file:
                copied = asyncio.run(_with_store(lambda store: copy(store, file)))
        except OSError as error:
            raise Problem(f"{error.filename or 'the file'}: {error.strerror}") from error
        except (BadSettings, StoreUnavailable, BadFile, Interfered) as error:
            raise Problem(str(error)) from error
        if out.as_json:
            out.document({name: getattr(copied, name) for name in copied.__struct_fields__})
        else:
            out.line(
                f"{done} {copied.tenants} tenants, {copied.modules} modules in {copied.bundles} bundles, "
                f"{copied.settings} run-time settings and {copied.entries} entries of the audit trail."
            )


async def _with_store(copy: Callable[[Store], Awaitable[Copied]]) -> Copied:
    """Copies with the store that the settings name."""
    store = _configured()
    try:
        await store.open()
        return await copy(store)
    finally:
        await store.close()


def _configured() -> Store:
    import settings

    found = installation.load()
    if not found.values.get("ADMIN_UUID"):
        raise Problem("this installation has no ADMIN_UUID yet: start Plugbay once (./runserver.sh)")
    chosen = settings.load(found.root)
    if chosen.MONGO_URI:
        from store.mongo.database import Names
        from store.mongo.store import MongoStore

        names = Names(
            database=chosen.MONGO_DATABASE,
            tenant=chosen.MONGO_TENANT,
            modules=chosen.MONGO_MODULES,
            audit=chosen.MONGO_AUDIT,
            admins=chosen.MONGO_ADMIN,
            admin=f"{chosen.MONGO_ADMIN}-{chosen.ADMIN_UUID}",
        )
        return MongoStore(chosen.MONGO_URI, names)
    from store.sqlite import SqliteStore

    return SqliteStore(chosen.DATA_DIR)
