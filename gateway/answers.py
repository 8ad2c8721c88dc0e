"""What the data plane answers: status, headers and body, before they become ASGI messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from calls.call import Outcome, Reply
from catalogue.index import Ambiguous, Broken, NotFound, Target
from gateway import outcomes
from gateway.bad_request import BadRequest
from gateway.headers import NO_TIMING, InvalidHeader, response_headers, valid_status
from store.contract import Status, Tenant

Headers = tuple[tuple[bytes, bytes], ...]

_JSON: Final = (b"content-type", b"application/json")
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_SANDBOX: Final = (b"content-security-policy", b"sandbox")
_REFUSED: Final = "REFUSED"
"""Outcome, in logs and metrics, of a request that never became a call."""
_RETRY_SECS: Final = 5
"""Seconds after which a module that could not be tried yet may have been."""
_BODILESS: Final = (204, 304)
"""Statuses whose answers have neither body nor Content-Length (RFC 9110, 6.4.1 and 8.6)."""
_ALLOWED_HEADERS: Final = b"Authorization, *"
"""Functions may ask for headers of their own; the asterisk does not stand for Authorization (Fetch, 3.3.4)."""
_EXPOSED_HEADERS: Final = (
    b"X-Call-Id, Server-Timing, Retry-After, Location, Preference-Applied, X-Given-Up, Idempotency-Replayed"
)

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Answer:
    """One answer of the data plane."""

    status: int
    body: bytes
    headers: Headers = (_JSON,)
    outcome: str = _REFUSED
    reply: Reply | None = None
    target: Target | None = None
    owner: str = ""
    given: Reply | None = None
    """Of an answer that was kept: the id and the times of the call that gave it."""


def cors(origins: str) -> Headers:
    """Headers that let browsers of other origins read answers; credentials are never allowed (Fetch, 3.3)."""
    if not origins:
        return ()
    return (
        (b"access-control-allow-origin", origins.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED_HEADERS),
    )


def headers(answer: Answer, call: str, shared: Headers) -> list[tuple[bytes, bytes]]:
    """All headers of an answer, of the request that is this call. `shared` stand in every one."""
    timed = answer.reply
    if answer.given is not None:
        timed, call = answer.given, answer.given.call
    all_headers = [*answer.headers, (b"x-call-id", call.encode()), _NOSNIFF, *shared]
    if answer.status not in _BODILESS:
        all_headers.append((b"content-length", b"%d" % len(answer.body)))
    all_headers.append(NO_TIMING if timed is None else (b"server-timing", _timing(timed)))
    return all_headers


def _timing(reply: Reply) -> bytes:
    """Where the time went, in milliseconds (Server Timing, W3C)."""
    bind = b"bind;dur=%.3f, " % (reply.bind * 1000) if reply.bind else b""
    return b"queue;dur=%.3f, %brun;dur=%.3f" % (reply.queue * 1000, bind, reply.run * 1000)


def json(status: int, content: Any) -> Answer:
    """Plain data as JSON."""
    return Answer(status, _encode(content))


def refused(status: int, problem: str, more: Headers = ()) -> Answer:
    """An error that the gateway itself found."""
    return Answer(status, _encode({"status": problem}), (_JSON, *more))


def not_here(tenant: Tenant) -> Answer:
    """A tenant's code is not run here, or not any more: then with the address where it is."""
    moved = {"address": tenant.address} if tenant.status is Status.ELEVATED else {}
    return Answer(403, _encode({"status": tenant.standing} | moved), (_JSON,))


def bad_request(error: BadRequest) -> Answer:
    """What the client sent cannot be served as it stands."""
    return Answer(error.status, error.body(), (_JSON, *error.headers))


def method_not_allowed(method: str, allow: tuple[str, ...]) -> Answer:
    """405 with what is allowed (RFC 9110, 15.5.6)."""
    return refused(405, f"{method} is not supported", ((b"allow", _methods(allow)),))


def options(allow: tuple[str, ...]) -> Answer:
    """The answer to OPTIONS, and to a browser's preflight. Nothing there: 404."""
    if not allow:
        return refused(404, "nothing is defined there")
    methods = _methods(allow)
    return Answer(
        204,
        b"",
        (
            (b"allow", methods),
            (b"access-control-allow-methods", methods),
            (b"access-control-allow-headers", _ALLOWED_HEADERS),
            (b"access-control-max-age", b"600"),
        ),
    )


def _methods(allow: tuple[str, ...]) -> bytes:
    return ", ".join((*allow, "OPTIONS")).encode()


def unresolved(error: NotFound | Ambiguous | Broken, call: str) -> Answer:
    """What the catalogue does not lead to an endpoint."""
    if isinstance(error, NotFound):
        return refused(404, error.status_text, ((b"allow", _methods(error.allow)),) if error.allow else ())
    if isinstance(error, Ambiguous):
        return json(409, {"status": error.status_text, "modules": error.modules})
    problem = error.problem
    if problem.temporary:
        return refused(503, f"module {error.module} {problem.text}", ((b"retry-after", b"%d" % _RETRY_SECS),))
    where = f" (line {problem.line})" if problem.line is not None and f"line {problem.line}" not in problem.text else ""
    return json(500, {"status": "ERROR", "exception": f"module {error.module}: {problem.text}{where}", "call": call})


def of_reply(reply: Reply, target: Target, owner: str, own_prefix: str | None) -> Answer:
    """The answer that a reply stands for. `own_prefix`: see `gateway.headers.response_headers`."""
    media_type = reply.media_type if reply.outcome is Outcome.RESPONSE else "application/json"
    try:
        asked = tuple(response_headers(reply.headers, media_type=media_type, own_prefix=own_prefix))
        if not valid_status(outcomes.status_of(reply)):
            raise InvalidHeader(f"invalid status: {reply.status}")
    except InvalidHeader as error:
        invalid = msgspec.structs.replace(reply, outcome=Outcome.RAISED, payload=str(error).encode(), headers=())
        return of_reply(invalid, target, owner, own_prefix)
    if own_prefix is not None:
        asked += (_SANDBOX,)
    if wait := outcomes.retry_after(reply):
        asked += ((b"retry-after", wait),)
    status = outcomes.status_of(reply)
    body = b"" if status in _BODILESS else outcomes.body_of(reply, target.prefix, target.module.name)
    return Answer(status, body, asked, reply.outcome.name, reply, target, owner)
