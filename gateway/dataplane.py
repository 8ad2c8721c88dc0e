"""The data plane: one HTTP request under `/rest/services/` becomes one Call, its Reply the HTTP answer.

A plain ASGI application, because this is the path of every call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from calls.call import new_call_id
from catalogue.index import Ambiguous, Broken, NotFound, Target, View, allowed, directory
from gateway import answers
from gateway.admission import Admission
from gateway.answers import Answer
from gateway.bad_request import BadRequest
from gateway.headers import NO_STORE
from gateway.http.exchange import WHOLE
from gateway.identity import SignIn
from gateway.kept.keeping import ACCEPTED, HEADERS, Keeping, Sent
from gateway.limits import OverPlan, PlanLimits
from gateway.observers import Observers
from gateway.request.arguments import RequestFacts, encode_arguments
from gateway.request.body import ClientGone, read_body
from gateway.request.path import split
from gateway.running import Running, target_of, used
from gateway.runtime_settings import RuntimeSettings
from gateway.serving import Catalogue, Tenants
from gateway.tenant_keys import without_keys
from gateway.usage import UsageMeter
from plans import Plan
from settings import Settings
from store.contract import Role, Status, StoreUnavailable, Tenant
from store.usage import Usage

_DIRECTORY: Final = frozenset({"__dir__", "__directory__"})
_READ: Final = ("GET", "HEAD")
"""Methods that the directory takes."""


class _Request(NamedTuple):
    """One request that is let through."""

    scope: Any
    receive: Any
    call: str
    addressed: str | None
    """The owner as the path names it."""
    view: View
    target: Target
    known: SignIn
    token: bool
    """Whether it came with a token, because it had to."""


class DataPlane:
    """The ASGI application of `/rest/services/`."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        tenants: Tenants,
        running: Running,
        runtime: RuntimeSettings,
        admission: Admission,
        observers: Observers,
        package_problem: Callable[[], str | None],
        limits: PlanLimits,
        usage: UsageMeter,
        keeping: Keeping,
    ) -> None:
        """`package_problem` says why the packages of admins are not as required, if they are not."""
        self._admin = str(settings.ADMIN_UUID)
        self._catalogue = catalogue
        self._tenants = tenants
        self._running = running
        self._runtime = runtime
        self._admission = admission
        self._observers = observers
        self._package_problem = package_problem
        self._limits = limits
        self._usage = usage
        self._keeping = keeping
        self._max_body = settings.MAX_BODY_BYTES
        self._max_fields = settings.MAX_BODY_FIELDS
        self._cors = answers.cors(settings.CORS_ORIGINS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        began = time.perf_counter()
        call = new_call_id()
        try:
            answer = await self._answer(scope, receive, call)
        except BadRequest as error:
            answer = answers.bad_request(error)
        except (NotFound, Ambiguous, Broken) as error:
            if isinstance(error, NotFound) and not self._catalogue.ready:
                answer = answers.refused(503, "modules are being loaded: try again", ((b"retry-after", b"1"),))
            else:
                answer = answers.unresolved(error, call)
        except StoreUnavailable as error:  # of the tenant nothing is known
            answer = answers.refused(503, f"the store is not available: {error}", ((b"retry-after", b"1"),))
        except ClientGone:
            return
        headers = answers.headers(answer, call, self._cors)
        await send({"type": WHOLE, "status": answer.status, "headers": headers, "body": answer.body})
        client, path = scope["client"], scope["raw_path"].decode("latin-1")
        seconds = time.perf_counter() - began
        self._observers.answered(call, client[0] if client else "", scope["method"], path, answer, seconds)

    async def _answer(self, scope: Any, receive: Any, call: str) -> Answer:
        addressed, segments = split(scope["raw_path"])
        owner = addressed or self._admin
        tenant = None
        if owner != self._admin:
            tenant = await self._tenants.tenant(owner)
            if tenant is None:
                return answers.refused(404, f"tenant {owner} is unknown")
            if tenant.status is not Status.ENABLED:
                return answers.not_here(tenant)
        view = self._catalogue.view(owner) or View(owner, 0)
        method: str = scope["method"]
        if method == "OPTIONS":  # without a token: browsers ask before they send one
            return answers.options(_READ if _is_directory(segments) else allowed(view, segments))
        known = SignIn.of(scope)
        if refusal := await self._admission.refusal(scope, known, owner, tenant):
            return refusal
        token = self._admission.takes_token(tenant)
        if _is_directory(segments):
            is_admins = tenant is None or tenant.role is Role.ADMIN
            answer = self._directory(view, method, segments, is_admins)
        else:
            target = target_of(view, method, segments, self._runtime.url_parameters)
            request = _Request(scope, receive, call, addressed, view, target, known, token)
            answer = await self._served(request, tenant)
        if (token or known.identity is not None) and NO_STORE not in answer.headers:
            answer.headers += (NO_STORE,)
        return answer

    async def _served(self, request: _Request, tenant: Tenant | None) -> Answer:
        """The answer to a call. `tenant` is the owner, None the installation's admin."""
        if tenant is None:
            answer, _ = await self._called(request, None)
            return answer
        owner = request.view.owner
        try:
            async with self._limits.within(tenant):
                answer, size = await self._called(request, self._limits.named(tenant))
        except OverPlan as over:
            self._usage.count(owner, Usage(calls=1, refused=1))
            return answers.refused(429, str(over), ((b"retry-after", b"%d" % over.retry_after),))
        if answer.outcome != ACCEPTED:  # what is run later is counted then
            self._usage.count(owner, used(answer, size))
        return answer

    def _directory(self, view: View, method: str, segments: list[str], is_admins: bool) -> Answer:
        if method not in _READ:
            return answers.method_not_allowed(method, _READ)
        shown = directory(view, segments[0] if len(segments) == 2 else None)
        if is_admins and len(segments) == 1 and (problem := self._package_problem()):
            shown["problems"].append({"module": "requirements.txt", "text": problem, "line": None})
        return answers.json(200, shown)

    async def _called(self, request: _Request, plan: tuple[str, Plan] | None) -> tuple[Answer, int]:
        """The answer, and how many bytes the request's body had. `plan` is the owner's, None of admins."""
        scope, _, call, addressed, view, target, known, token = request
        endpoint = target.endpoint
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        body = await read_body(request.receive, self._max_body)
        payload = encode_arguments(
            api=endpoint.api,
            module=target.addressed,
            uuid=addressed,
            method=scope["method"],
            query_string=scope["query_string"],
            content_type=next((value for name, value in headers if name == b"content-type"), None),
            body=body,
            parameter_names=self._runtime.url_parameters,
            parameters=target.parameters,
            request=_facts(scope, headers, call, known) if endpoint.wants_request else None,
            max_fields=self._max_fields,
        )
        max_secs = (plan[1].seconds if plan is not None else None) or self._running.max_secs

        async def now() -> Answer:
            reply = await self._running.reply(call, view, target, payload, max_secs)
            prefix = None if view.owner == self._admin else f"/rest/services/{view.owner}/"
            return answers.of_reply(reply, target, view.owner, prefix)

        asked = [header for header in headers if header[0] in HEADERS]
        if asked:
            longest = self._running.longest(target, max_secs)
            sent = Sent(scope, call, known, token, longest, view.owner, plan, payload, body)
            return await self._keeping.answer(sent, asked, now), len(body)
        return await now(), len(body)


def _is_directory(segments: list[str]) -> bool:
    return bool(segments) and len(segments) <= 2 and segments[-1] in _DIRECTORY


def _facts(scope: Any, headers: list[tuple[bytes, bytes]], call: str, known: SignIn) -> RequestFacts:
    client = scope["client"]
    return RequestFacts(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=without_keys(known.shown(headers)),
        client=client[0] if client else "",
        call=call,
        identity=known.identity,
    )
