"""Section D of the security requirements: what functions print and return, and what they do to their own
end of the connection. Hostile frames are in tests/runner/test_hostile.py."""

from __future__ import annotations

import json

import pytest

from tests.attacks.alive import Attacker

MAX_LOG = 65536
MAX_RESULT = 16 * 1024 * 1024


@pytest.mark.parametrize("api", ["one-text", "short-lines", "descriptors"])
def test_d1_output_is_kept_up_to_its_bound(attacker: Attacker, api: str) -> None:
    answer = attacker.get(f"/printing/{api}/")
    assert answer.status_code == 200, answer.text
    [record] = attacker.log(answer.headers["x-call-id"])
    assert (len(record["text"]), record["truncated"]) == (MAX_LOG, True)


def test_d2_output_is_one_record_of_its_own_call_and_harmless_to_a_terminal(attacker: Attacker) -> None:
    lines = len(attacker.server.log.splitlines())
    answer = attacker.get("/printing/odd/")
    told = attacker.api("GET", f"/logs?call={answer.headers['x-call-id']}")
    assert told.content.isascii()
    assert told.text.isprintable()
    [record] = told.json()["records"]
    assert (record["module"], record["api"], record["status"]) == ("printing", "odd", 200)
    assert '\r\n{"level":"INFO","tenant":"B"}\x1b[2J\u2028\x00\x7f' in record["text"]
    assert "\ufffd\ufffd\x1b]0;title\x07" in record["text"]
    assert all("tenant" not in json.loads(line) for line in attacker.server.log.splitlines()[lines:])


@pytest.mark.parametrize("name", ["text", "bytes", "list", "response"])
def test_d3_a_result_has_a_bound(attacker: Attacker, name: str) -> None:
    answer = attacker.get(f"/printing/value/?name={name}")
    assert (answer.status_code, answer.json()["exception"]) == (500, f"result larger than {MAX_RESULT} bytes")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nested", "RecursionError"),
        ("recursive", "RecursionError"),
        ("response-json", "RecursionError"),
        ("dumping", "RecursionError"),
        ("listing", "RecursionError"),
        ("unending", "TypeError"),
        ("raising", "GeneratorExit"),
        ("keys", "GeneratorExit"),
        ("integer", "ValueError"),
        ("class", "TypeError"),
        ("function", "TypeError"),
        ("module", "TypeError"),
        ("generator", "TypeError"),
        ("coroutine", "BaseException: never"),
        ("status", "invalid status 99"),
        ("headers", "invalid header"),
        ("many-headers", "invalid header"),
        ("media-type", "invalid header"),
        ("posing", "ValueError"),
        ("surrogate", "UnicodeEncodeError"),
    ],
)
def test_d4_a_value_that_cannot_be_sent_is_a_500_that_says_why(attacker: Attacker, name: str, said: str) -> None:
    answer = attacker.get(f"/printing/value/?name={name}")
    assert (answer.status_code, said in answer.json().get("exception", "")) == (500, True), answer.text


@pytest.mark.parametrize("api", ["close-all", "no-connection", "other-connection", "half-connection"])
def test_d27_a_worker_without_its_connection_is_given_up(attacker: Attacker, api: str) -> None:
    answer = attacker.get(f"/printing/{api}/")
    assert answer.status_code == 502, answer.text
    assert attacker.get("/printing/print/?text=next").status_code == 200


@pytest.mark.parametrize("api", ["no-streams", "closed-streams", "other-streams"])
def test_d27_what_a_function_does_to_its_streams_ends_with_its_call(attacker: Attacker, api: str) -> None:
    assert attacker.get(f"/printing/{api}/").status_code in (200, 502)
    for _ in range(10):  # wherever it runs
        answer = attacker.get("/printing/print/?text=heard")
        assert answer.status_code == 200, answer.text
        [record] = attacker.log(answer.headers["x-call-id"])
        assert sorted(record["text"].split("\n")) == ["heard", "heard"]
