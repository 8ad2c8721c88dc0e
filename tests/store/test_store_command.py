"""`plugbay store export` and `import`, as an operator runs them."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from store.audit import Entry, new_id
from store.contract import Status, Store, Tenant, TenantChange
from store.sqlite import SqliteStore
from tests.store.mongo_server import MongoServer
from tests.store.mongo_stores import database_of, mongo_store
from tests.store.test_contract import ADMIN, TENANT, kept

ENTRY = Entry(id=new_id(1.5), who="admin", what="tenant registered", address="::1", tenant=TENANT)
_TOLD = "1 tenants, 1 modules in 1 bundles, 1 run-time settings and 1 entries of the audit trail."


class Operator:
    """Runs the tool with a `DATA_DIR` of its own."""

    def __init__(self, folder: Path, environ: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._environ = environ
        self.use(ADMIN_UUID=ADMIN, ADMIN_KEY="k" * 32, DATA_DIR=str(folder / "data"), MONGO_URI="")

    def use(self, **settings: str) -> None:
        """Other settings from here on."""
        for name, value in settings.items():
            self._environ.setenv(name, value)

    def run(self, verb: str, file: str, *options: str) -> tuple[int, str]:
        """Exit code and output of `plugbay store …`."""
        done = CliRunner().invoke(app, ["store", verb, str(self.folder / file), *options], catch_exceptions=False)
        return done.exit_code, done.output.strip()


def using(store: Store, work: Callable[[Store], Awaitable[object]]) -> None:
    """Does this with a store, which is closed again."""

    async def run() -> None:
        await store.open()
        await work(store)
        await store.close()

    asyncio.run(run())


async def fill(store: Store) -> None:
    """Something to export."""
    await store.add_tenant(Tenant(uuid=TENANT))
    await store.put_setting("limit", "1")
    await store.audit.add([ENTRY])
    await store.change_modules(TENANT, [await kept(store, "a", owner=TENANT)], [])


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(tmp_path, monkeypatch)


def test_from_the_embedded_store_to_mongodb_and_back(operator: Operator, mongo: MongoServer) -> None:
    embedded = operator.folder / "data"
    using(SqliteStore(embedded), fill)
    assert operator.run("export", "first") == (0, f"Exported {_TOLD}")
    assert stat.S_IMODE((operator.folder / "first").stat().st_mode) == 0o600

    operator.use(MONGO_URI=mongo.uri, MONGO_DATABASE=database_of(operator.folder))
    assert operator.run("import", "first") == (0, f"Imported {_TOLD}")

    async def check_and_change(store: Store) -> None:
        assert await store.tenants() == [Tenant(uuid=TENANT)]
        assert await store.settings() == {"limit": "1"}
        await store.change_tenant(TENANT, TenantChange(status=Status.DISABLED))

    using(mongo_store(operator.folder), check_and_change)
    code, output = operator.run("export", "second", "--json")
    assert (code, json.loads(output)) == (0, {"tenants": 1, "settings": 1, "modules": 1, "bundles": 1, "entries": 1})

    operator.use(MONGO_URI="")
    assert operator.run("import", "second") == (0, f"Imported {_TOLD}")

    async def check(store: Store) -> None:
        assert await store.tenants() == [Tenant(uuid=TENANT, status=Status.DISABLED)]
        assert await store.audit.find("", "", "", 9) == [ENTRY]

    using(SqliteStore(embedded), check)


def test_a_running_platform_has_to_be_stopped(operator: Operator) -> None:
    async def export(_: Store) -> None:
        code, output = await asyncio.to_thread(operator.run, "export", "file")
        assert code == 1
        assert "used by another Plugbay" in output
        assert "stop it" in output

    using(SqliteStore(operator.folder / "data"), export)
    assert not (operator.folder / "file").exists(), "an export that failed leaves nothing"


@pytest.mark.parametrize(
    ("verb", "file", "settings", "told"),
    [
        ("export", "there", {}, "there: File exists"),
        ("export", "no/such/folder", {}, "no/such/folder: No such file or directory"),
        ("import", "nowhere", {}, "nowhere: No such file or directory"),
        ("import", "there", {}, "the file is no export of Plugbay"),
        ("export", "new", {"MONGO_URI": "http://u:secret@host"}, "MONGO_URI: String should match"),
        ("export", "new", {"MONGO_URI": "mongodb://u:secret/@host"}, "MONGO_URI is no address of MongoDB"),
        ("export", "new", {"DATA_DIR": "/proc/nowhere"}, "DATA_DIR /proc/nowhere cannot be used"),
    ],
)
def test_clear_lines_for_what_does_not_work(
    operator: Operator, verb: str, file: str, settings: dict[str, str], told: str
) -> None:
    (operator.folder / "there").write_text("precious")
    operator.use(**settings)
    code, output = operator.run(verb, file)
    assert code == 1
    assert told in output
    assert "secret" not in output
    assert "\n" not in output
    assert (operator.folder / "there").read_text() == "precious"
    assert not (operator.folder / "new").exists()
