"""What a reply becomes when whoever sent it did not keep to what workers may say."""

from __future__ import annotations

import pytest

from calls.call import Outcome, Reply
from catalogue.index import Target
from catalogue.report import Endpoint, Report
from catalogue.view import ModuleView
from gateway import answers

MODULE = ModuleView(name="m", alias=None, digest="d", source="m.py", report=Report())
TARGET = Target(MODULE, Endpoint(api="a", methods=("GET",), function="f"), b'{"status":"OK","response":{"a":', "m", [])


@pytest.mark.parametrize("status", [1, 100, 101, 199, 600, 999, -1])
@pytest.mark.parametrize("outcome", [Outcome.RESPONSE, Outcome.HTTP_ERROR])
def test_a_status_that_cannot_be_sent_is_an_error_of_the_function(outcome: Outcome, status: int) -> None:
    reply = Reply(call="c", outcome=outcome, payload=b'"x"', status=status, media_type="text/plain")
    answer = answers.of_reply(reply, TARGET, "owner", None)
    assert (answer.status, answer.outcome) == (500, "RAISED")
    assert b"invalid status" in answer.body


def test_a_tenants_answer_is_sandboxed_in_browsers() -> None:
    reply = Reply(call="c", outcome=Outcome.VALUE, payload=b"1")
    sandbox = (b"content-security-policy", b"sandbox")
    assert sandbox in answers.of_reply(reply, TARGET, "owner", "/rest/services/owner/").headers
    assert sandbox not in answers.of_reply(reply, TARGET, "owner", None).headers
