"""Section F of the security requirements: what one call leaves to the next, and how calls end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.attacks.alive import Attacker, name_of
from tests.attacks.conftest import PLUGINS
from tests.embedded.server import Embedded, running
from tests.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("state")
    shutil.copytree(PLUGINS, folder / "plugins")  # a test adds to it
    with running(folder / "plugins", folder / "data") as server:
        yield server


def value(attacker: Attacker, path: str) -> Any:
    """What an endpoint returns, which may name any place it knows."""
    answer = attacker.client.get(attacker.server.path(f"/changing/{path}"))
    assert answer.status_code == 200, answer.text
    [value] = answer.json()["response"].values()
    return value


SABOTAGES = ["len", "isinstance", "open", "print", "import", "json", "msgspec", "socket", "frames", "os", "threads"]


@pytest.mark.parametrize("what", [*SABOTAGES, "modules", "exit"])
def test_f1_sabotage_of_its_own_process_harms_nothing_else(attacker: Attacker, what: str) -> None:
    attacker.pings.allowed |= {500, 502, 504}  # calls of one owner share workers
    assert attacker.get(f"/changing/sabotage/?what={what}").status_code in (200, 500, 502)
    # Whatever a sabotaged worker answers, it does not outlive its module.
    file = attacker.server.plugins / "other.py"
    file.write_text(f"import expose\nVALUE = {what!r}\n")
    eventually(lambda: attacker.get("/other/__dir__/").status_code == 200)
    file.unlink()
    eventually(lambda: attacker.get("/other/__dir__/").status_code == 404)


def test_f2_files_stay_in_the_runner_and_go_with_it(attacker: Attacker) -> None:
    name = value(attacker, "leave-file/")
    assert value(attacker, f"read-file/?name={name}") == "left"
    assert attacker.server.temporary in Path(name).parents
    attacker.pings.allowed.add(502)
    [zygote] = [process for process in attacker.server.processes() if name_of(process) == "plugbay-zygote"]
    zygote.kill()
    eventually(lambda: not Path(name).exists())


CHANGES = [
    *("cwd", "umask", "handlers", "mask", "timers", "environ", "no-environ", "locale", "recursion", "streams", "gc"),
    *("gc-threshold", "gc-debug", "trace", "profile", "limits", "stack", "nice", "affinity", "switch", "digits"),
    "timeout",
]


@pytest.mark.parametrize("what", CHANGES)
def test_f3_the_next_call_finds_the_process_as_it_was(attacker: Attacker, what: str) -> None:
    pid, before = value(attacker, f"change/?what={what}")
    for _ in range(200):
        seen, after = value(attacker, "state/")
        assert after == before, {key: (after[key], before[key]) for key in after if after[key] != before[key]}
        if seen == pid:
            return
    eventually(lambda: not psutil.pid_exists(pid))


def test_f3_what_an_import_sets_is_there_for_every_call(attacker: Attacker) -> None:
    for _ in range(10):
        _, found = value(attacker, "state/")
        assert found["environ"]["SET_AT_IMPORT"] == "yes"


def test_f4_a_thread_prints_into_no_other_call(attacker: Attacker) -> None:
    for _ in range(200):
        pid = value(attacker, "print-later/")
        answer = attacker.get("/changing/print-now/")
        [record] = attacker.log(answer.headers["x-call-id"])
        assert record["text"] == "now\n"
        if answer.json()["response"]["print-now"] == pid:
            return
    pytest.fail("no two calls ran in one worker")


@pytest.mark.parametrize("api", ["end", "end-async"])
@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("exit", 500, "SystemExit"),
        ("exit-text", 500, "SystemExit: text"),
        ("SystemExit", 500, "SystemExit: by name"),
        ("KeyboardInterrupt", 500, "KeyboardInterrupt: by name"),
        ("GeneratorExit", 500, "GeneratorExit: by name"),
        ("BaseException", 500, "BaseException: by name"),
        ("StopIteration", 500, "StopIteration"),
        ("RecursionError", 500, "RecursionError: by name"),
        ("_exit", 502, "exit code 0"),
        ("abort", 502, "signal 6 (SIGABRT)"),
        ("kill", 502, ""),
        ("term", 502, "signal 15 (SIGTERM)"),
        ("interrupt", 500, "KeyboardInterrupt"),
    ],
)
def test_f6_whatever_ends_a_call_is_told(attacker: Attacker, api: str, how: str, status: int, said: str) -> None:
    answer = attacker.get(f"/ending/{api}/?how={how}")
    assert (answer.status_code, said in answer.text) == (status, True), answer.text


@pytest.mark.parametrize(("api", "statuses"), [("stop-loop", {200, 500}), ("cancel-all", {500})])
def test_f6_a_coroutine_that_ends_its_loop_or_all_tasks_is_answered(
    attacker: Attacker, api: str, statuses: set[int]
) -> None:
    assert attacker.get(f"/ending/{api}/").status_code in statuses


@pytest.mark.parametrize(
    ("what", "status"),
    [
        *(("long", 500), ("wide", 500), ("odd", 500), ("unprintable", 500), ("chained", 500), ("grouped", 500)),
        *(("named", 500), ("assert", 403), ("detail", 500)),
    ],
)
def test_f7_the_text_of_an_exception_is_bounded(attacker: Attacker, what: str, status: int) -> None:
    answer = attacker.get(f"/ending/raise/?what={what}")
    assert answer.status_code == status, answer.text[:500]
    told = answer.json()
    assert len(told.get("exception", told["status"]).encode()) <= 1024
    assert not re.search(r"[\x00-\x1f\x7f]", answer.text)


def test_f7_an_exception_that_never_ends_printing_itself_ends_at_the_limit(attacker: Attacker) -> None:
    assert attacker.get("/ending/raise-endless/").status_code == 504


@pytest.mark.parametrize(
    "what",
    ["traceback", "import", "platform-file", "own-file", "temporary-file", "places", "temporary", "environ"],
)
def test_f8_an_exception_tells_callers_no_place_of_the_platform(attacker: Attacker, what: str) -> None:
    answer = attacker.get(f"/ending/raise/?what={what}")
    assert answer.status_code == 500
    exception = answer.json()["exception"]
    for place in (str(attacker.server.temporary), "Traceback", "modules-"):
        assert place not in exception, exception
    [record] = attacker.log(answer.headers["x-call-id"])
    assert "Traceback (most recent call last)" in record["text"]
