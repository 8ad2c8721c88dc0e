"""Section D of the security requirements in sandboxes: what a worker that is an attacker's own says to the host."""

from __future__ import annotations

from calls.frames import MAX_FRAME
from tests.attacks.sandboxes.alive import Attacker, footprints
from tests.attacks.sandboxes.rows import Expected, Row, either, ends, only, table, value, violations
from tests.attacks.sandboxes.tenancy import NEIGHBOUR

MAX_LOG = 65536
MAX_RESULT = 16 * 1024 * 1024


def breaks(number: str, code: str, said: str) -> Row:
    """An attack that ends its runner, whose call is told of what."""
    return Row(number, code, ends(502, f"protocol violation: {said}"), fresh=True, violation=said)


MALFORMED = "malformed frame: "
LOST: Expected = ends(502, "the worker closed its connection")


@table(
    breaks("D7", 'say(b"\\xff\\xff\\xff\\xff")', "frame length 4294967295 "),
    breaks("D7", 'say(b"\\0\\0\\0\\0")', "frame length 0 "),
    breaks("D7", 'say(struct.pack("!I", MAX_FRAME + 1))', f"frame length {MAX_FRAME + 1} "),
    breaks("D12", 'say(result("f" * 32))', "a result for a call it does not hold"),
    breaks("D15", "say(frame(99, call))", MALFORMED),
    breaks("D15", "say(frame(17, call))", MALFORMED),
    breaks("D15", "say(result(call, b'1', 0, b'', 'one more'))", MALFORMED),
    breaks("D15", "say(result(5))", MALFORMED),
    breaks("D15", "say(result(msgspec.msgpack.Ext(5, b'x')))", MALFORMED),
    breaks("D15", "say(sized(result(call)[4:].replace(call.encode(), b'\\xff' * 32)))", MALFORMED),
    breaks("D15", "say(sized(b'\\x91' * 100_000 + b'\\xc0'))", MALFORMED),
    breaks("D15", "say(sized(b'\\x81\\x91\\x01\\x01'))", MALFORMED),
    breaks("D15", "say(sized(result(call)[4:] + b'\\xc0'))", MALFORMED),
    breaks("D15", "say(result(call, b'1', 9))", "a result no worker may give"),
    breaks("D15", f"say(result(call, b'1', 0, bytes({MAX_LOG + 1})))", "a result no worker may give"),
    breaks("D15", "say(hello(nonces()[0]))", "a second Hello"),
    breaks("D17", "say(hello(bytes(16)), on=new())", "a worker with an unknown nonce"),
    breaks("D17", "say(hello(nonces()[0]), on=new())", "a worker with an unknown nonce"),
    breaks("D17", "say(result(call), on=new())", "first frame is not Hello"),
    breaks("D18", "say(control(1, nonces()[-1]), on=new())", "a second or unknown control connection"),
    breaks(
        "D18", "say(control(1, nonces()[-1], 0, 2**31), on=new())", "control record with a tail of 2147483648 bytes"
    ),
    breaks("D19", "say(frame(1, 'attack0', b''))", MALFORMED),
    breaks("D19", "say(frame(4, call, '../attack0'))", MALFORMED),
    breaks("F1", "setattr(sys.modules['calls.frames'], 'encode', lambda _: sized(b'\\xc1'))", MALFORMED),
)
def test_whatever_breaks_the_protocol_ends_the_runner(attacker: Attacker, row: Row) -> None:
    row.run(attacker)


HELD = "a result for a call it does not hold"
FORGED = value("forged")


@table(
    Row("D13", "say_and_end(result(call) * 2)", FORGED, fresh=True, violation=HELD),
    Row("D13", "later(0.3, result('0' * 32))", value(None), fresh=True, violation=HELD),
    Row("D13", "answers_twice(call)", ends(504), api="shared", fresh=True, violation=HELD),
    Row(
        "D14",
        "[threading.Thread(target=own().sendall, args=[result(call)]).start(), time.sleep(0.5)]",
        FORGED,
        fresh=True,
        violation=HELD,
    ),
)
def test_the_first_answer_counts_and_a_second_ends_the_runner(attacker: Attacker, row: Row) -> None:
    row.run(attacker)


@table(
    Row("D1", "print('x' * 2**25)", value(None)),
    Row("D3", "'x' * 2**25", ends(500, f"result larger than {MAX_RESULT} bytes")),
    Row(
        "D4",
        "[kept.update(deep=[kept.get('deep', [])]) for _ in range(100_000)] and kept.pop('deep')",
        ends(500, "RecursionError"),
    ),
    Row("D4", "[kept.update(one=kept), kept][1]", ends(500, "RecursionError")),
    Row("D7", "half(b'\\0\\0\\1')", LOST),
    Row("D11", "floods(1.0) > 10", value(True)),
    Row("D17", "closed(new())", value(True)),
    Row(
        "D21", "descriptors_along(50)", either(value("sent"), value("refused: ETOOMANYREFS")), value("refused: EINVAL")
    ),
    Row("D22", "[own().shutdown(socket.SHUT_RDWR), time.sleep(1000)]", LOST),
    Row("D22", "half(b'')", LOST),
    Row("D23", "daemon_with_socket(0.3, result(call))", value("left")),
    Row("D24", "replaces_socket()", value(["EROFS"] * 5), only("EROFS", "EACCES")),
    Row("D27", "[os.closerange(0, 256), time.sleep(1000)]", LOST),
    Row("D27", "[setattr(sys, 'stdout', None), print('x')][0]", value(None)),
)
def test_what_a_worker_may_do_to_itself(attacker: Attacker, row: Row) -> None:
    broken = attacker.violations()
    row.run(attacker)
    assert attacker.violations() == broken


def test_d6_what_is_dear_to_decode_is_not_decoded(attacker: Attacker) -> None:
    owner = attacker.fresh()
    answer = attacker.do(f"say_and_end(result(call, b'\\x80' * {MAX_RESULT - 1024}))", owner=owner)
    assert answer.status_code == 200
    assert answer.content.count(b"\x80") == MAX_RESULT - 1024


def test_d8_d9_half_a_frame_and_a_slow_one_end_at_their_deadline(attacker: Attacker) -> None:
    before = attacker.violations()
    half, slow = (
        attacker.start(code, owner=attacker.fresh()) for code in ("say(b'\\0\\0\\1\\0abc')", "slowly(result(call))")
    )
    for answer in (half.result(), slow.result()):
        assert (answer.status_code, "frame not completed in time" in answer.text) == (502, True), answer.text
    violations(attacker, before, "frame not completed in time")


def test_d12_nobody_answers_for_another_call_of_its_runner(attacker: Attacker) -> None:
    owner = attacker.fresh()
    victim = attacker.start("leaves_id(call, 3)", owner=owner)
    forger = attacker.do("say(result(waits_for_id()))", owner=owner)
    for answer in (forger, victim.result()):
        assert answer.status_code == 502, answer.text
        assert "forged" not in answer.text


def test_d12_nobody_answers_for_a_call_of_another_tenant(attacker: Attacker) -> None:
    victim = attacker.start("leaves_id(call, 2)", owner=NEIGHBOUR)
    theirs = attacker.value("waits_for_id()", owner=NEIGHBOUR)
    forger = attacker.do("say(result(given))", theirs, owner=attacker.fresh())
    assert forger.status_code == 502, forger.text
    answer = victim.result()
    assert answer.json()["response"] == {"attack": "own"}, answer.text
    assert answer.headers["x-call-id"] == theirs
    attacker.value("os.unlink('/tmp/id')", owner=NEIGHBOUR)


def test_d16_connections_held_open_are_closed_and_bounded(attacker: Attacker) -> None:
    *_, before = footprints(attacker.stack, starting=True)
    holding, most = attacker.start("held_connections(5, 200)"), before.fds
    while not holding.done():
        most = max(most, footprints(attacker.stack, starting=True)[-1].fds)
    opened, closed = holding.result().json()["response"]["attack"]
    assert opened == closed > 500
    assert most <= before.fds + 20
