"""Section F of the security requirements in sandboxes: what a call leaves, and how calls end."""

from __future__ import annotations

from tests.attacks.sandboxes.alive import Attacker
from tests.attacks.sandboxes.rows import Row, ends, table, value

CHANGED = (
    "[os.chdir('/'), os.umask(0), os.environ.update(LEFT='x'), sys.setrecursionlimit(100_000), "
    "setattr(sys, 'stdout', None), os.nice(5)] and os.getpid()"
)
STATE = (
    "[os.getpid(), os.getcwd(), os.umask(0o22), os.environ.get('LEFT'), sys.getrecursionlimit(), sys.stdout is None, "
    "os.nice(0)]"
)


@table(
    Row("F6", "sys.exit()", ends(500, "SystemExit")),
    Row("F6", "exec('raise SystemExit(1)')", ends(500, "SystemExit")),
    Row("F6", "exec('raise KeyboardInterrupt')", ends(500, "KeyboardInterrupt")),
    Row("F6", "exec('raise GeneratorExit')", ends(500, "GeneratorExit")),
    Row("F6", "exec('raise BaseException')", ends(500, "BaseException")),
    Row("F6", "os._exit(0)", ends(502, "exit code 0")),
    Row("F6", "os.abort()", ends(502, "signal 6 (SIGABRT)")),
)
def test_however_a_call_ends_its_caller_is_told(attacker: Attacker, row: Row) -> None:
    row.run(attacker)


def test_f2_files_are_seen_by_ones_own_calls_alone(attacker: Attacker) -> None:
    one, other = attacker.fresh(), attacker.fresh()
    attacker.value("Path('/tmp/left').write_text('x')", owner=one)
    assert attacker.value("Path('/tmp/left').exists()", owner=one) is True
    assert attacker.value("Path('/tmp/left').exists()", owner=other) is False


def test_f3_the_next_call_finds_its_process_as_it_was(attacker: Attacker) -> None:
    owner = attacker.fresh()
    before = attacker.value(STATE, owner=owner)
    while attacker.value(CHANGED, owner=owner) != before[0]:  # on a busy machine it may have a second worker by now
        before = attacker.value(STATE, owner=owner)
    after = attacker.value(STATE, owner=owner)
    assert after[1:] == before[1:]


def test_f7_the_text_of_an_exception_is_bounded(attacker: Attacker) -> None:
    answer = attacker.do("exec('raise ValueError(\"x\" * 10**7)')")
    assert answer.status_code == 500
    assert len(answer.json()["exception"].encode()) <= 1024


def test_f8_an_exception_tells_no_place_of_the_platform(attacker: Attacker) -> None:
    answer = attacker.do("exec('import expose; raise ValueError(expose.__file__, sys.path)')")
    assert answer.status_code == 500
    assert "ValueError" in answer.text
    assert "/opt/plugbay" not in answer.text


def test_f11_no_two_workers_draw_the_same(attacker: Attacker) -> None:
    drawn = "[__import__('random').random(), str(__import__('uuid').uuid4())]"
    ended = [(attacker.value(drawn), attacker.do("os._exit(0)").status_code) for _ in range(3)]
    assert len({number for (number, _), _ in ended}) == len(ended)
    assert len({name for (_, name), _ in ended}) == len(ended)


@table(Row("F1", "exec('import builtins, json; json.dumps = None; builtins.print = None')", value(None), fresh=True))
def test_f1_sabotage_is_of_ones_own_worker(attacker: Attacker, row: Row) -> None:
    row.run(attacker)
