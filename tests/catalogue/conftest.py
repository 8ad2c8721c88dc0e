"""Real parts for the catalogue's tests: plugin folders, a store, and a process that imports modules to inspect them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from calls import bundle as bundles
from calls.call import Outcome, Reply
from catalogue.catalogue import Catalogue
from catalogue.index import resolve
from catalogue.unpacking import Limits, PlanBounds
from settings import ROOT
from store.contract import Role, Store
from store.sqlite import SqliteStore

ADMIN = "4a1bf01e-0693-48c5-a52b-fc275205c1d8"
TENANT = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"

_SERVER = """
import importlib, json, os, signal, sys
sys.path.insert(0, sys.argv[1])
import vyperlogix.decorators
from runner.worker.inspection import inspect_module

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    if os.fork():
        continue
    folder, name = json.loads(line)
    sys.path.insert(0, folder)
    try:
        outcome, payload = "VALUE", inspect_module(importlib.import_module(name)).decode()
    except BaseException as error:
        outcome, payload = "IMPORT_FAILED", f"{type(error).__name__}: {error}, line 1"
    with open(f"{folder}/.{name}.answer", "w") as file:
        json.dump([outcome, payload], file)
    os.write(1, json.dumps([folder, name]).encode() + b"\\n")
    os._exit(0)
"""


@pytest.fixture(scope="session")
def importer() -> Iterator[subprocess.Popen[bytes]]:
    """The process that forks one for each module to import. It keeps nothing from one to the next."""
    command = [sys.executable, "-c", _SERVER, str(ROOT)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
    ) as server:
        yield server
        os.killpg(server.pid, signal.SIGKILL)


class Runner:
    """Has modules imported in processes of their own, as a runner does. Counts what it is asked."""

    def __init__(self, store: Store, folder: Path, importer: subprocess.Popen[bytes]) -> None:
        self.asked: list[str] = []
        """Modules, in the order of asking."""
        self.at_once = 0
        """The most that were asked for at the same time."""
        self.refusing: Reply | None = None
        """When set, the answer to everything."""
        assert importer.stdin is not None and importer.stdout is not None
        self._orders, self._answers = importer.stdin, importer.stdout
        self._store = store
        self._folder = folder
        self._folders: dict[tuple[tuple[str, str], ...], str] = {}
        self._unpacking = asyncio.Lock()
        self._under_way: dict[tuple[str, str], asyncio.Future[None]] = {}
        asyncio.get_running_loop().add_reader(self._answers, self._read)

    def close(self) -> None:
        """Waits for no answer any more."""
        asyncio.get_running_loop().remove_reader(self._answers)

    async def inspect(self, owner: str, module: str, candidates: Mapping[str, str]) -> Reply:
        """`catalogue.trials.Inspect`."""
        self.asked.append(module)
        if self.refusing is not None:
            return self.refusing
        modules = await self._store.modules(owner)
        folder = await self._unpacked({one.name: one.digest for one in modules.modules} | dict(candidates))
        ended = self._under_way[folder, module] = asyncio.get_running_loop().create_future()
        self.at_once = max(self.at_once, len(self._under_way))
        self._orders.write(json.dumps([folder, module]).encode() + b"\n")
        await ended
        outcome, payload = answer(folder, module)
        return Reply(call="", outcome=Outcome[outcome], payload=payload.encode())

    async def _unpacked(self, digests: dict[str, str]) -> str:
        """A folder with exactly these modules."""
        key = tuple(sorted(digests.items()))
        async with self._unpacking:
            if key not in self._folders:
                self._folders[key] = tempfile.mkdtemp(dir=self._folder)
                for digest in digests.values():
                    unpack(await self._store.bundle(digest), Path(self._folders[key]))
        return self._folders[key]

    def _read(self) -> None:
        folder, module = json.loads(self._answers.readline())
        ended = self._under_way.pop((folder, module), None)
        if ended is not None and not ended.done():  # else it was asked for by an earlier test, or is not waited for
            ended.set_result(None)


def unpack(bundle: bytes | None, folder: Path) -> None:
    """Writes the files of a bundle."""
    assert bundle is not None, "a candidate's bundle is kept before it is asked for"
    for path, content in bundles.unpack(bundle).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def answer(folder: str, module: str) -> tuple[str, str]:
    """What the process that imported a module says."""
    outcome, payload = json.loads((Path(folder) / f".{module}.answer").read_text())
    return outcome, payload


def source(*apis: str, header: str = "", method: str = "GET", body: str = "return 1") -> str:
    """A module that exposes these APIs."""
    functions = "".join(
        f"@expose.endpoint(method={method!r}, API={api!r})\ndef {api.replace('-', '_')}(**kwargs):\n    {body}\n\n"
        for api in apis
    )
    return f"from vyperlogix.decorators import expose\n{header}\n{functions}"


def unbounded(plan: str) -> PlanBounds:
    """A plan that bounds nothing."""
    return PlanBounds(plan=plan, modules=None, bundle_bytes=None)


def save(path: Path, text: str) -> None:
    """Writes a file as careful editors do: whole, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.rename(path)


class Installation:
    """A catalogue over folders of its own, and everything it needs."""

    def __init__(self, folder: Path, importer: subprocess.Popen[bytes]) -> None:
        self._importer = importer
        self.plugins = folder / "plugins"
        self.more_plugins = folder / "more"
        self.environment = "packages-1"
        self.signed_uploads: frozenset[Role] = frozenset()
        self.data = folder / "data"
        self.scratch = folder / "scratch"
        self.changed: list[str] = []
        self.revised = asyncio.Event()
        for made in (self.plugins, self.more_plugins, self.scratch):
            made.mkdir()

    async def start(self, **limits: int) -> None:
        """Starts the store, the runner and the catalogue."""
        bounds = {"max_source": 256 * 1024, "max_bundle": 1024 * 1024, "max_modules": 5, "max_versions": 3}
        self.store = SqliteStore(self.data)
        await self.store.open()
        self.runner = Runner(self.store, self.scratch, self._importer)
        self.catalogue = Catalogue(
            admin=ADMIN,
            folders=[self.plugins, self.more_plugins],
            store=self.store,
            inspect=self.runner.inspect,
            environment=lambda: self.environment,
            max_modules=2000,
            limits=Limits(of_plan=unbounded, signed=self.signed_uploads, **(bounds | limits)),
        )
        self.catalogue.on_change.append(self._revised)
        await self.catalogue.start()

    async def stop(self) -> None:
        """Stops all of them; what is stored stays."""
        await self.catalogue.close()
        self.runner.close()
        await self.store.close()

    def _revised(self, owner: str) -> None:
        self.changed.append(owner)
        self.revised.set()

    def save(self, name: str, text: str) -> None:
        """Saves a file in the first plugin folder."""
        save(self.plugins / name, text)

    def remove(self, name: str) -> None:
        """Removes a file from the first plugin folder."""
        (self.plugins / name).unlink()

    def rename(self, name: str, to: str) -> None:
        """Renames something in the first plugin folder."""
        (self.plugins / name).rename(self.plugins / to)

    def serving(self, owner: str = ADMIN) -> dict[str, list[str]]:
        """Module → APIs, of what can be called."""
        view = self.catalogue.view(owner)
        return {
            name: sorted(one.api for one in module.report.endpoints)
            for name, module in (view.modules.items() if view else ())
            if not module.broken
        }

    def answers(self, *segments: str, method: str = "GET", owner: str = ADMIN) -> str:
        """`module.function` of what a call would run. Raises what `resolve` raises."""
        view = self.catalogue.view(owner)
        assert view is not None
        target = resolve(view, method, list(segments))
        return f"{target.module.name}.{target.endpoint.function}"

    def problems(self) -> dict[str, str]:
        """Module → what is wrong with it."""
        return {one.module: one.text for one in self.catalogue.problems()}

    def skipped(self) -> dict[str, str]:
        """Path → reason."""
        view = self.catalogue.view(ADMIN)
        assert view is not None
        return {one.path: one.reason for one in view.skipped}


@pytest.fixture
async def installation(tmp_path: Path, importer: subprocess.Popen[bytes]) -> AsyncIterator[Installation]:
    """Not started yet; stopped at the end."""
    made = Installation(tmp_path, importer)
    yield made
    if hasattr(made, "catalogue"):
        await made.stop()
