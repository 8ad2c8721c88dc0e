"""The pool: module changes, inspection, scaling, and runners that end unasked."""

from __future__ import annotations

import asyncio
import os
import signal

import msgspec
import pytest

from calls.call import Outcome
from calls.pools import PoolsUnavailable, UnknownPool
from tests.runner.bench import OWNER, Bench, limits, runner_limits
from tests.runner.test_calls import HEAD, source
from tests.waiting import until


async def test_a_new_version_answers_as_soon_as_the_set_has_it(bench: Bench) -> None:
    bench.modules.put("version", source("return 1"))
    assert await bench.value("version", "run") == 1
    bench.modules.put("version", source("return 2"))
    bench.host.changed(OWNER, bench.modules.revision)
    assert await bench.value("version", "run") == 2


async def test_changing_modules_under_load_fails_no_call_and_never_goes_back(bench: Bench) -> None:
    bench.modules.put("version", source("return 0"))
    seen: list[list[int]] = [[] for _ in range(8)]
    ended = False

    async def client(mine: list[int]) -> None:
        while not ended:
            mine.append(await bench.value("version", "run"))

    clients = [asyncio.create_task(client(mine)) for mine in seen]
    for version in range(1, 6):
        goal = sum(map(len, seen)) + 200
        await until(lambda goal=goal: sum(map(len, seen)) >= goal)  # type: ignore[misc]
        bench.modules.put("version", source(f"return {version}"))
        bench.host.changed(OWNER, bench.modules.revision)
    assert await bench.value("version", "run") == 5
    ended = True
    await asyncio.gather(*clients)
    assert all(mine == sorted(mine) for mine in seen)


async def test_a_package_finds_the_data_beside_it(bench: Bench) -> None:
    bench.modules.put(
        "pack",
        {
            "pack/__init__.py": HEAD + "from pathlib import Path\nfrom pack.part import NAME\n"
            "@expose.endpoint(API='read')\ndef read():\n    return NAME + (Path(__file__).parent / 'data/x.txt').read_text()\n",
            "pack/part.py": "NAME = 'part '\n",
            "pack/data/x.txt": "data",
        },
    )
    assert await bench.value("pack", "read") == "part data"


async def test_a_module_imports_its_sibling(bench: Bench) -> None:
    bench.modules.put("shared", "VALUE = 7\n")
    bench.modules.put("user", HEAD + "import shared\n@expose.endpoint()\ndef get():\n    return shared.VALUE\n")
    assert await bench.value("user", "get") == 7


async def test_inspection_reports_the_endpoints_of_candidates(bench: Bench) -> None:
    sibling = bench.modules.keep("sibling", "METHOD = 'GET|POST'\n")
    digest = bench.modules.keep(
        "fresh", HEAD + "import sibling\n@expose.endpoint(method=sibling.METHOD, API='one')\ndef f(a: int): pass\n"
    )
    reply = await bench.inspect("fresh", {"fresh": digest, "sibling": sibling})
    assert reply.outcome is Outcome.VALUE, reply
    report = msgspec.json.decode(reply.payload)
    assert [(one["api"], one["methods"]) for one in report["endpoints"]] == [("one", ["GET", "POST"])]


@pytest.mark.parametrize(
    ("text", "outcome", "problem"),
    [
        ("import nothing_here\n", Outcome.IMPORT_FAILED, "ModuleNotFoundError"),
        ("x = (\n", Outcome.IMPORT_FAILED, "SyntaxError"),
        ("import sys\nsys.exit()\n", Outcome.IMPORT_FAILED, "SystemExit"),
        ("import os\nos._exit(3)\n", Outcome.DIED, "exit code 3"),
        ("while True: pass\n", Outcome.TIMED_OUT, "time limit of 0.5 s"),
    ],
)
async def test_inspection_of_what_cannot_be_imported_says_why(
    bench: Bench, text: str, outcome: Outcome, problem: str
) -> None:
    digest = bench.modules.keep("bad", text)
    good = bench.modules.keep("good", source("pass"))
    reply = await bench.inspect("bad", {"bad": digest, "good": good}, limit=0.5)
    assert (reply.outcome, problem in reply.payload.decode()) == (outcome, True), reply
    assert (await bench.inspect("good", {"bad": digest, "good": good})).outcome is Outcome.VALUE


async def test_a_pool_is_scaled_up_and_down_without_losing_calls(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(0.3)\nreturn 1"))
    up = await bench.host.scale("admin", 3)
    assert [runner.state for runner in up.runners] == ["bound"] * 3
    running = [bench.start("slow", "run") for _ in range(8)]
    await bench.host.scale("admin", 1)
    assert [(await call).outcome for call in running] == [Outcome.VALUE] * 8
    await until(lambda: len(bench.host.pools()[0].runners) == 1)
    assert await bench.value("slow", "run") == 1


@pytest.mark.parametrize("size", [0, -1, 5, 10**9])
async def test_a_size_out_of_bounds_is_refused(bench: Bench, size: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 4"):
        await bench.host.scale("admin", size)


async def test_an_unknown_pool_is_refused(bench: Bench) -> None:
    with pytest.raises(UnknownPool):
        await bench.host.scale("nobody", 1)


async def test_a_killed_runner_costs_its_calls_and_no_later_one(bench: Bench) -> None:
    bench.modules.put("slow", source("if kwargs.get('wait'): time.sleep(1000)\nreturn os.getppid()"))
    zygote = await bench.value("slow", "run")
    lost = bench.start("slow", "run", wait=1)
    os.kill(zygote, signal.SIGKILL)
    reply = await lost
    assert (reply.outcome, reply.payload) == (Outcome.DIED, b"the runner ended: signal 9 (SIGKILL)"), reply
    assert await bench.value("slow", "run") != zygote


async def test_a_stopped_zygote_is_destroyed_when_it_does_not_obey(bench: Bench) -> None:
    bench.modules.put("slow", source("if kwargs.get('wait'): time.sleep(1000)\nreturn os.getppid()"))
    zygote = await bench.value("slow", "run")
    os.kill(zygote, signal.SIGSTOP)
    assert (await bench.call("slow", "run", wait=1, limit=0.1)).outcome is Outcome.TIMED_OUT
    assert await bench.value("slow", "run") != zygote


@pytest.mark.parametrize(
    "pool_limits",
    [limits(warm_workers=1, worker_idle_secs=0.2, runner=runner_limits(4))],
)
async def test_workers_come_with_the_load_and_go_without_it(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(0.3)\nreturn os.getpid()"))
    pids = await asyncio.gather(*(bench.value("slow", "run") for _ in range(4)))
    assert len(set(pids)) > 1
    await until(lambda: bench.host.pools()[0].runners[0].workers == 1)
    assert await bench.value("slow", "run") in pids


async def test_a_tenants_call_is_refused_where_there_is_no_sandbox(bench: Bench) -> None:
    reply = await bench.call("any", "run", owner="00000000-0000-4000-8000-000000000001")
    assert (reply.outcome, reply.payload.startswith(b"sandbox: ")) == (Outcome.UNAVAILABLE, True)


async def test_closing_lets_calls_finish_and_leaves_nothing(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(0.5)\nreturn 'done'"))
    running = bench.start("slow", "run")
    await bench.host.close(5)
    assert (await running).outcome is Outcome.VALUE
    assert (await bench.call("slow", "run")).outcome is Outcome.UNAVAILABLE
    assert not bench.left()


async def test_closing_while_a_runner_starts_leaves_nothing(bench: Bench) -> None:
    scaling = asyncio.create_task(bench.host.scale("admin", 3))
    await until(lambda: len(bench.host.pools()[0].runners) == 2)
    await bench.host.close(5)
    with pytest.raises(PoolsUnavailable, match="shutting down"):
        await scaling
    assert not bench.left()
