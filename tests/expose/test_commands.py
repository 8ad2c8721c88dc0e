"""`expose.command`: programs in other languages, run for real."""

from __future__ import annotations

import datetime
import os
import signal
import sys
import threading
import traceback
import uuid
from pathlib import Path
from types import CodeType
from typing import Any

import psutil
import pytest

import expose
from expose import commands
from expose.endpoints import specs_of
from tests.waiting import eventually


@pytest.fixture
def before() -> set[psutil.Process]:
    """Processes that others have started."""
    return _running()


def _running() -> set[psutil.Process]:
    """Those that have not ended; another test may have made this process the one that orphans come to."""
    return {one for one in psutil.Process().children(recursive=True) if _has_not_ended(one)}


def _has_not_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def shell(script: str) -> Any:
    return expose.command(["sh", "-c", script])


def test_arguments_arrive_as_json_and_json_comes_back() -> None:
    arguments = {"text": 'ä "quoted" \n', "number": 1.5, "list": [1, None, True], "nested": {"a": {}}}
    assert expose.command(["cat"])(**arguments) == arguments


@pytest.mark.parametrize(
    ("printed", "result"),
    [
        ("42", 42),
        ("true\\n", True),
        ("[1, 2]", [1, 2]),
        ("hello\\n", "hello"),
        ("two\\nlines\\n\\n", "two\nlines"),
        ("", ""),
        ("NaN", "NaN"),
        ("\\377\\376", b"\xff\xfe"),
    ],
)
def test_what_it_prints_is_the_result(printed: str, result: object) -> None:
    assert shell(f"printf '{printed}'")() == result


def test_a_deep_nest_of_brackets_is_text() -> None:
    assert expose.command([sys.executable, "-c", "print('[' * 100000)"])() == "[" * 100000


def test_large_arguments_and_results_do_not_block_each_other() -> None:
    text = "x" * 3_000_000
    assert expose.command(["cat"])(text=text) == {"text": text}


def test_files_bytes_and_dates_can_be_sent() -> None:
    some_id = uuid.UUID(int=7)
    received = expose.command(["cat"])(
        file=expose.File("a.txt", "text/plain", b"hi"), raw=b"hi", day=datetime.date(2024, 2, 29), id=some_id
    )
    assert received == {
        "file": {"name": "a.txt", "media_type": "text/plain", "content": "aGk="},
        "raw": "aGk=",
        "day": "2024-02-29",
        "id": str(some_id),
    }


def test_what_is_no_json_is_refused_with_its_type() -> None:
    with pytest.raises(TypeError, match="type object cannot be sent to a program"):
        expose.command(["cat"])(thing=object())


def test_an_exit_code_is_an_error_with_the_end_of_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(expose.CommandFailed) as raised:
        shell("yes padding | head -n 1000 >&2; echo 'disk is full' >&2; exit 3")()
    assert raised.value.exit_code == 3
    assert raised.value.stderr.endswith("disk is full")
    assert len(raised.value.stderr) <= 500
    assert str(raised.value).startswith("sh ended with exit code 3: ")
    assert capsys.readouterr().err.count("padding") == 1000


def test_stderr_of_a_success_goes_to_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert shell("echo note >&2; echo 1")() == 1
    assert capsys.readouterr().err == "note\n"


def test_death_by_a_signal_is_named() -> None:
    with pytest.raises(expose.CommandFailed, match="sh was ended by signal 15") as raised:
        shell("kill -TERM $$")()
    assert raised.value.exit_code == -signal.SIGTERM


def test_a_missing_program_is_named() -> None:
    with pytest.raises(expose.CommandFailed, match="cannot run no-such-program: there is no such program here"):
        expose.command(["no-such-program"])()


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo hi")
    with pytest.raises(expose.CommandFailed, match="it is not executable"):
        expose.command([script])()
    script.chmod(0o755)
    with pytest.raises(expose.CommandFailed, match="Exec format error"):
        expose.command([script])()


def test_no_shell_reads_the_words() -> None:
    assert expose.command(["echo", "$HOME", "a b; exit 3"])() == "$HOME a b; exit 3"


def test_endless_output_is_an_error_and_the_program_is_gone(before: set[psutil.Process]) -> None:
    with pytest.raises(expose.CommandFailed, match="printed more than 16777216 bytes"):
        expose.command(["yes"])()
    assert _running() <= before


def test_what_the_program_leaves_running_ends_with_it(before: set[psutil.Process]) -> None:
    """The child holds stdout open: without its end the call would wait for it."""
    assert shell("sleep 1000 & echo $!")() > 0
    assert _running() <= before


def test_a_program_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    script = f"exec >&- 2>&-; read line < {tmp_path}/fifo; exit $line"
    writer = threading.Thread(target=(tmp_path / "fifo").write_text, args=("7\n",))
    writer.start()
    with pytest.raises(expose.CommandFailed, match="exit code 7"):
        shell(script)()
    writer.join()


def _codes(thread: int) -> list[CodeType]:
    """What this thread is in, the innermost first."""
    frame = sys._current_frames().get(thread)
    return [one.f_code for one, _ in traceback.walk_stack(frame)]


def test_a_call_cut_short_ends_the_program_and_its_children(tmp_path: Path, before: set[psutil.Process]) -> None:
    """As with Ctrl-C: the exception arrives while the program runs."""
    os.mkfifo(tmp_path / "fifo")
    pids: list[int] = []
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        pids.extend(map(int, (tmp_path / "fifo").read_text().split()))
        eventually(lambda: commands._read.__code__ in _codes(main))  # the program may be ahead of it
        signal.pthread_kill(main, signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        shell(f"sleep 1000 & echo $$ $! > {tmp_path}/fifo; wait")()
    interrupter.join()
    assert len(pids) == 2
    assert _running() <= before
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert alive == []


@pytest.mark.parametrize(
    ("argv", "kind", "text"),
    [
        ("node x.js", TypeError, r'expose.command\(\["node x.js"\]\)'),
        ([], TypeError, "a list of strings"),
        ([b"node"], TypeError, "a list of strings"),
        (["a\0b"], ValueError, "NUL"),
    ],
)
def test_a_wrong_command_says_what_to_write(argv: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        expose.command(argv)


def test_it_can_be_exposed_directly() -> None:
    run = expose.endpoint(method="POST", API="same")(expose.command(["cat"]))
    (spec,) = specs_of(run)
    assert (spec.api, spec.module) == ("same", __name__)
    assert run(a=1) == {"a": 1}


@pytest.mark.needs("node")
def test_a_node_script(tmp_path: Path) -> None:
    script = tmp_path / "sum.js"
    script.write_text(
        "const {numbers} = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify({sum: numbers.reduce((a, b) => a + b, 0)}))"
    )
    assert expose.command(["node", script])(numbers=[1, 2, 3.5]) == {"sum": 6.5}
