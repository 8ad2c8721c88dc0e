"""What callers get for what functions do: the outcomes of a call, and that neighbours do not notice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from calls.call import Outcome
from tests.runner.bench import Bench, limits, runner_limits
from tests.waiting import until

HEAD = "from vyperlogix.decorators import expose\nimport os, sys, time, signal, subprocess, threading, asyncio\n"


def source(body: str) -> str:
    """A module with one exposed function `run`."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"{HEAD}@expose.endpoint(method='GET', API='run')\ndef run(**kwargs):\n{lines}\n"


async def test_a_value_comes_back_as_json(bench: Bench) -> None:
    bench.modules.put("hello", source("return {'kwargs': kwargs}"))
    value = await bench.value("hello", "run", name="world")
    assert value["kwargs"]["name"] == "world"
    assert value["kwargs"]["func"] == "run"


async def test_the_owners_variables_are_in_the_environment(bench: Bench) -> None:
    bench.modules.put("env", source("return [os.environ['FROM_OWNER'], 'ADMIN_KEY' in os.environ]"))
    assert await bench.value("env", "run") == ["yes", False]


@pytest.mark.parametrize(
    ("body", "outcome", "text"),
    [
        ("raise ValueError('no good')", Outcome.RAISED, "ValueError: no good"),
        ("assert kwargs.get('token') == 'x', 'bad token'", Outcome.FORBIDDEN, "bad token"),
        ("raise expose.HTTPError(418, 'teapot')", Outcome.HTTP_ERROR, '"teapot"'),
        ("sys.exit(3)", Outcome.RAISED, "SystemExit: 3"),
        ("raise KeyboardInterrupt", Outcome.RAISED, "KeyboardInterrupt"),
        ("raise GeneratorExit", Outcome.RAISED, "GeneratorExit"),
        ("os._exit(3)", Outcome.DIED, "exit code 3"),
        ("os.abort()", Outcome.DIED, "signal 6 (SIGABRT)"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", Outcome.DIED, "signal 11 (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", Outcome.DIED, "signal 9 (SIGKILL)"),
        ("os.closerange(0, 256)\nsignal.pause()", Outcome.DIED, "the worker closed its connection"),
        ("f = lambda: f()\nreturn f()", Outcome.RAISED, "RecursionError"),
        ("a = []\na.append(a)\nreturn a", Outcome.RAISED, "RecursionError"),
        ("return 'x' * 3_000_000", Outcome.RAISED, "result larger than 1048576"),
        ("return object()", Outcome.RAISED, "object"),
        ("return input()", Outcome.RAISED, "EOFError"),
    ],
)
async def test_each_way_to_end_has_its_outcome(bench: Bench, body: str, outcome: Outcome, text: str) -> None:
    bench.modules.put("ending", source(body))
    bench.modules.put("neighbour", source("return 'fine'"))
    reply = await bench.call("ending", "run")
    assert (reply.outcome, text in reply.payload.decode()) == (outcome, True), reply
    assert await bench.value("neighbour", "run") == "fine"


async def test_an_import_error_names_module_error_and_line(bench: Bench) -> None:
    bench.modules.put("broken", HEAD + "\n\nimport no_such_thing\n")
    reply = await bench.call("broken", "run")
    assert reply.outcome is Outcome.IMPORT_FAILED
    assert reply.payload == b"ModuleNotFoundError: No module named 'no_such_thing' (line 5)"
    assert b"Traceback" in reply.log


@pytest.mark.parametrize(
    "body", ["while True: pass", "time.sleep(1000)", "signal.pause()", "import re; re.match('(a+)+$', 'a'*40+'b')"]
)
async def test_a_function_over_its_limit_is_killed(bench: Bench, body: str) -> None:
    bench.modules.put("hang", source("print('before', flush=True)\n" + body))
    reply = await bench.call("hang", "run", limit=0.3)
    assert reply.outcome is Outcome.TIMED_OUT
    assert reply.payload == b"time limit of 0.3 s reached"
    assert reply.log == b"before\n"


async def test_neighbours_of_a_hung_function_go_on(bench: Bench) -> None:
    bench.modules.put("hang", source("time.sleep(1000)"))
    bench.modules.put("quick", source("return os.getpid()"))
    hung = bench.start("hang", "run", limit=1)
    for _ in range(200):
        await bench.value("quick", "run")
    assert not hung.done()
    assert (await hung).outcome is Outcome.TIMED_OUT


async def test_a_worker_has_no_descriptor_but_its_own(bench: Bench) -> None:
    bench.modules.put(
        "look",
        source(
            "return sorted(os.readlink('/proc/self/fd/' + n).split(':')[0] for n in os.listdir('/proc/self/fd') if os.path.lexists('/proc/self/fd/' + n))"
        ),
    )
    kinds = await bench.value("look", "run")
    assert kinds.count("socket") == 1, kinds
    assert not [kind for kind in kinds if kind.startswith("/") and "/dev/null" not in kind and "/proc/" not in kind]


async def test_what_a_function_prints_is_its_calls_log(bench: Bench) -> None:
    bench.modules.put(
        "talk",
        source(
            "import logging\nprint('out', kwargs['n'])\nprint('err', file=sys.stderr)\nlogging.getLogger('x').warning('logged')\n"
            "os.write(1, b'raw\\n')\nsubprocess.run(['sh', '-c', 'echo child'])"
        ),
    )
    for n in range(3):
        reply = await bench.call("talk", "run", n=n)
        assert reply.log == f"out {n}\nerr\nWARNING x: logged\nraw\nchild\n".encode(), reply


async def test_output_is_bounded(bench: Bench) -> None:
    bench.modules.put(
        "flood", source("for _ in range(10000): print('x' * 1000)\nos.write(1, b'y' * 1_000_000)\nreturn 1")
    )
    reply = await bench.call("flood", "run")
    assert (reply.outcome, len(reply.log), reply.log_truncated) == (Outcome.VALUE, 4096, True)


async def test_output_of_a_dead_worker_is_kept(bench: Bench) -> None:
    bench.modules.put("crash", source("print('last words')\nos.kill(os.getpid(), 9)"))
    reply = await bench.call("crash", "run")
    assert (reply.outcome, reply.log) == (Outcome.DIED, b"last words\n")


@pytest.mark.parametrize("pool_limits", [limits(warm_workers=1, runner=runner_limits(1))])
async def test_a_thread_that_prints_later_is_not_in_the_next_calls_log(bench: Bench) -> None:
    bench.modules.put(
        "late",
        source(
            "if kwargs.get('start'):\n    global go\n    go = threading.Event()\n"
            "    threading.Thread(target=lambda: (go.wait(), print('late')), daemon=True).start()\n"
            "else:\n    go.set()\n    time.sleep(0.2)\n    print('next')"
        ),
    )
    await bench.value("late", "run", start=1)
    assert (await bench.call("late", "run")).log == b"next\n"


@pytest.mark.parametrize("pool_limits", [limits(warm_workers=1, runner=runner_limits(1))])
async def test_the_next_call_finds_the_process_as_it_was(bench: Bench) -> None:
    bench.modules.put(
        "spoil",
        source(
            "os.chdir('/'); os.umask(0); os.environ['X'] = 'x'; sys.setrecursionlimit(500); sys.stdout = None\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN); sys.settrace(lambda *a: None); return os.getpid()"
        ),
    )
    bench.modules.put(
        "look",
        source(
            "m = os.umask(0o22); os.umask(m); print('heard')\n"
            "return [os.getcwd() != '/', m, 'X' in os.environ, sys.getrecursionlimit(), sys.gettrace() is None,"
            " signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, os.getpid()]"
        ),
    )
    pid = await bench.value("spoil", "run")
    reply = await bench.call("look", "run")
    assert msgspec.json.decode(reply.payload) == [True, 0o22, False, 1000, True, True, pid]
    assert reply.log == b"heard\n"


@pytest.mark.parametrize("pool_limits", [limits(warm_workers=1, runner=runner_limits(1))])
async def test_a_worker_that_cannot_be_restored_is_replaced(bench: Bench) -> None:
    bench.modules.put(
        "nice", source("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nreturn os.getpid()")
    )
    assert await bench.value("nice", "run") != await bench.value("nice", "run")


@pytest.mark.parametrize("pool_limits", [limits(warm_workers=1, runner=runner_limits(1))])
async def test_an_interrupt_that_comes_after_its_call_ends_no_worker(bench: Bench, workplace: Path) -> None:
    sent = workplace / "sent"
    bench.modules.put(
        "late",
        source(
            "def interrupt():\n    while not os.path.exists(kwargs['go']): time.sleep(0.01)\n"
            f"    os.kill(os.getpid(), signal.SIGINT)\n    open({str(sent)!r}, 'w').close()\n"
            "if 'go' in kwargs: threading.Thread(target=interrupt, daemon=True).start()\nreturn os.getpid()"
        ),
    )
    worker = await bench.value("late", "run", go=str(workplace / "go"))
    (workplace / "go").touch()
    await until(sent.exists)
    assert await bench.value("late", "run") == worker


@pytest.mark.parametrize(
    "body",
    [
        "subprocess.Popen(['sleep', '1000'])",
        "subprocess.Popen(['setsid', 'sleep', '1000'])",
        "os.fork() or time.sleep(1000)",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(1000)\n    os._exit(0)",
    ],
)
@pytest.mark.parametrize("pool_limits", [limits(runner=runner_limits(2))])
async def test_processes_do_not_outlive_their_call(bench: Bench, body: str) -> None:
    bench.modules.put("leave", source(body + "\nreturn 'left'"))
    bench.modules.put(
        "count",
        source(
            "found = subprocess.run(['ps', '-o', 'stat=', '--ppid', str(os.getppid())], capture_output=True, text=True)\n"
            "return [state for state in found.stdout.split() if state[0] != 'Z']"  # dead, and about to be reaped
        ),
    )
    while len(await bench.value("count", "run")) != 2:  # all there may be: none is on its way, none is being replaced
        pass
    assert await bench.value("leave", "run") == "left"
    assert len(await bench.value("count", "run")) <= 2


async def test_children_of_a_killed_function_die_with_it(bench: Bench, workplace: Path) -> None:
    mark = workplace / "pid"
    bench.modules.put(
        "parent",
        source(
            f"p = subprocess.Popen(['setsid', 'sleep', '1000'])\nopen({str(mark)!r}, 'w').write(str(p.pid))\np.wait()"
        ),
    )
    assert (await bench.call("parent", "run", limit=0.5)).outcome is Outcome.TIMED_OUT
    assert not Path(f"/proc/{mark.read_text()}").exists()


async def test_an_endpoints_own_concurrency_is_a_limit(bench: Bench) -> None:
    bench.modules.put("one", source("time.sleep(0.5)\nreturn 1"))
    first = bench.start("one", "run", concurrency=1)
    second = await bench.call("one", "run", concurrency=1)
    assert (second.outcome, b"limited to 1 calls at once" in second.payload) == (Outcome.OVER_LIMIT, True)
    assert (await first).outcome is Outcome.VALUE
    assert (await bench.call("one", "run", concurrency=1)).outcome is Outcome.VALUE


@pytest.mark.parametrize("pool_limits", [limits(max_queue_secs=0.2, runner=runner_limits(2))])
async def test_a_call_that_waits_too_long_is_refused(bench: Bench) -> None:
    bench.modules.put("slow", source("time.sleep(kwargs['secs'])"))
    running = [bench.start("slow", "run", secs=2) for _ in range(2)]
    reply = await bench.call("slow", "run", secs=0)
    assert (reply.outcome, reply.payload) == (Outcome.UNAVAILABLE, b"no worker was free within 0.2 s (MAX_QUEUE_SECS)")
    assert [(await call).outcome for call in running] == [Outcome.VALUE] * 2


ASYNC = (
    HEAD
    + """
waiting = 0
@expose.endpoint(method='GET', API='meet')
async def meet(n):
    global waiting
    waiting += 1
    while waiting < n:
        await asyncio.sleep(0.005)
    print('met', os.getpid())
    return os.getpid()

@expose.endpoint(method='GET', API='forever')
async def forever():
    print('starting')
    await asyncio.sleep(1000)

@expose.endpoint(method='GET', API='stubborn')
async def stubborn():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

@expose.endpoint(method='GET', API='leave')
async def leave():
    asyncio.get_running_loop().create_task(asyncio.sleep(1000))
    return len(asyncio.all_tasks())
"""
)


@pytest.mark.parametrize("pool_limits", [limits(warm_workers=1, runner=runner_limits(1))])
async def test_coroutines_share_a_worker(bench: Bench) -> None:
    bench.modules.put("together", ASYNC)
    replies = await asyncio.gather(*(bench.start("together", "meet", concurrent=True, n=10) for _ in range(10)))
    assert len({reply.payload for reply in replies}) == 1
    assert {reply.log for reply in replies} == {b"met " + replies[0].payload + b"\n"}


@pytest.mark.parametrize("pool_limits", [limits(warm_workers=1, runner=runner_limits(1))])
async def test_a_coroutine_over_its_limit_is_cancelled_without_harm_to_others(bench: Bench) -> None:
    bench.modules.put("together", ASYNC)
    late = bench.start("together", "forever", concurrent=True, limit=0.2)
    meeting = [bench.start("together", "meet", concurrent=True, n=2)]
    assert (await late).outcome is Outcome.TIMED_OUT
    meeting.append(bench.start("together", "meet", concurrent=True, n=2))
    assert [(await call).outcome for call in meeting] == [Outcome.VALUE] * 2
    assert await bench.value("together", "leave", concurrent=True) == 2
    assert await bench.value("together", "leave", concurrent=True) == 2


async def test_a_coroutine_that_ignores_its_cancellation_is_killed(bench: Bench) -> None:
    bench.modules.put("together", ASYNC)
    assert (await bench.call("together", "stubborn", concurrent=True, limit=0.2)).outcome is Outcome.TIMED_OUT
    assert (await bench.call("together", "meet", concurrent=True, n=1)).outcome is Outcome.VALUE


@pytest.mark.parametrize("pool_limits", [limits(warm_workers=1, runner=runner_limits(workers=1))])
async def test_a_coroutine_that_comes_while_the_last_one_ends_is_run(bench: Bench, workplace: Path) -> None:
    bench.modules.put(
        "last",
        HEAD
        + """
from pathlib import Path

@expose.endpoint(method='GET', API='run')
async def run(folder, begun, sent):
    Path(folder, begun).touch()
    while not Path(folder, sent).exists():
        time.sleep(0.001)
    await asyncio.sleep(0)  # ends in the turn of the loop in which the next call is read
    return begun
""",
    )
    first = bench.start("last", "run", concurrent=True, folder=str(workplace), begun="first", sent="sent")
    await until((workplace / "first").exists)
    second = bench.start("last", "run", concurrent=True, folder=str(workplace), begun="second", sent="sent", limit=5)
    (workplace / "sent").touch()
    assert ((await first).payload, (await second).payload) == (b'"first"', b'"second"')
