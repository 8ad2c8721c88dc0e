"""What a runner's answer to an inspection means. A runner is not trusted, whatever it answers."""

from typing import Any

import msgspec
import pytest

from calls.call import Outcome, Reply
from catalogue.report import Report
from catalogue.trials import MAX_ENDPOINTS, MAX_NAMES, MAX_PARAMETERS, MAX_REPORT_BYTES, Failure, judge


def said(outcome: Outcome, text: str = "") -> Failure:
    verdict = judge(Reply(call="c", outcome=outcome, payload=text.encode()))
    assert isinstance(verdict, Failure)
    return verdict


def endpoint(**changes: Any) -> dict[str, Any]:
    return {"api": "x", "methods": ["GET"], "function": "f"} | changes


def reported(*endpoints: dict[str, Any], **changes: Any) -> Report | Failure:
    payload = msgspec.json.encode({"endpoints": endpoints} | changes)
    return judge(Reply(call="c", outcome=Outcome.VALUE, payload=payload))


def test_a_good_report_is_taken() -> None:
    report = reported(
        endpoint(api="a-B_9", methods=["GET", "POST", "PUT", "DELETE", "PATCH"], timeout=0.5, concurrency=1),
        endpoint(api="x", methods=["GET"], function="inner.f"),
        endpoint(api="x", methods=["POST"], function="g"),
        doc="About it.",
        functions=["helper"],
        imports=["json"],
        more="from a newer worker",
    )
    assert isinstance(report, Report)
    assert [one.function for one in report.endpoints] == ["f", "inner.f", "g"]


def test_a_module_without_endpoints_is_good() -> None:
    assert reported() == Report()


@pytest.mark.parametrize(
    "wrong",
    [
        endpoint(api=""),
        endpoint(api="a/b"),
        endpoint(api="a.b"),
        endpoint(api="ä"),
        endpoint(api="x" * 65),
        endpoint(api="x\n"),
        endpoint(api='x"'),
        endpoint(api=1),
        endpoint(methods=[]),
        endpoint(methods=["HEAD"]),
        endpoint(methods=["get"]),
        endpoint(methods=["GET", "TRACE"]),
        endpoint(methods=["GET", "GET"]),
        endpoint(methods="GET"),
        endpoint(function=""),
        endpoint(function="f()"),
        endpoint(function="f" * 201),
        endpoint(function="a..b"),
        endpoint(timeout=0),
        endpoint(timeout=-1.0),
        endpoint(concurrency=0),
        endpoint(concurrency=1.5),
        endpoint(parameters=[{"name": "p"}] * (MAX_PARAMETERS + 1)),
        {"api": "x"},
        [],
    ],
)
def test_an_endpoint_that_cannot_be_served_fails_its_module(wrong: dict[str, Any]) -> None:
    verdict = reported(endpoint(api="good"), wrong)
    assert isinstance(verdict, Failure)
    assert not verdict.temporary
    assert len(verdict.text) < 500


def test_a_report_is_bounded() -> None:
    many = [endpoint(api=f"x{number}") for number in range(MAX_ENDPOINTS + 1)]
    assert isinstance(reported(*many[1:]), Report)
    assert isinstance(reported(*many), Failure)
    assert isinstance(reported(functions=["f"] * (MAX_NAMES + 1)), Failure)
    assert isinstance(reported(imports=["f"] * (MAX_NAMES + 1)), Failure)
    assert isinstance(reported(doc="x" * MAX_REPORT_BYTES), Failure)


def test_one_endpoint_exposed_twice_fails() -> None:
    verdict = reported(endpoint(), endpoint(function="g"))
    assert isinstance(verdict, Failure)
    assert "GET x" in verdict.text


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"doc": "\\ud800"}'])
def test_a_malformed_report_fails(payload: bytes) -> None:
    assert isinstance(judge(Reply(call="c", outcome=Outcome.VALUE, payload=payload)), Failure)


def test_an_import_error_keeps_its_text_and_line() -> None:
    failure = said(Outcome.IMPORT_FAILED, "ModuleNotFoundError: No module named 'x' (hello.py, line 12)")
    assert failure == Failure(
        text="ModuleNotFoundError: No module named 'x' (hello.py, line 12)", line=12, temporary=False, curable=True
    )
    assert len(said(Outcome.IMPORT_FAILED, "é" * 100_000).text) == 2000


@pytest.mark.parametrize(
    ("outcome", "temporary"),
    [
        (Outcome.UNAVAILABLE, True),
        (Outcome.OVER_LIMIT, True),
        (Outcome.TIMED_OUT, False),
        (Outcome.DIED, False),
        (Outcome.RAISED, False),
        (Outcome.MALFORMED, False),
        (Outcome.RESPONSE, False),
    ],
)
def test_only_what_is_not_the_modules_fault_is_tried_again(outcome: Outcome, temporary: bool) -> None:
    failure = said(outcome, "of this")
    assert failure.temporary is temporary
    assert "of this" in failure.text
