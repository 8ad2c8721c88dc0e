"""The data plane: one HTTP request under `/rest/services/` becomes one Call, its Reply the HTTP answer.

A plain ASGI application, because this is the path of every call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from calls.broker import Broker, Refused, ask
from calls.call import Call, Kind, Outcome, Reply, new_call_id
from catalogue.index import Ambiguous, Broken, NotFound, Target, View, allowed, directory, resolve
from gateway import answers, sign_in
from gateway.answers import Answer
from gateway.bad_request import BadRequest
from gateway.credentials import Credentials
from gateway.http.exchange import WHOLE
from gateway.identity import SignIn
from gateway.journal import Journal
from gateway.limits import OverPlan, PlanLimits
from gateway.logs import CallLogs
from gateway.metrics import Metrics
from gateway.request.arguments import RequestFacts, encode_arguments
from gateway.request.body import ClientGone, read_body
from gateway.request.path import split
from gateway.runtime_settings import RuntimeSettings
from gateway.tenant_keys import without_keys
from gateway.usage import UsageMeter
from settings import Settings
from store.contract import Status, StoreUnavailable, Tenant
from store.usage import Usage

_DIRECTORY: Final = frozenset({"__dir__", "__directory__"})
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
"""Who stores an answer would give it to requests without a token, or to somebody else."""
_READ: Final = ("GET", "HEAD")
"""Methods that the directory takes."""


class Catalogue(Protocol):
    """What the data plane reads of the catalogue."""

    @property
    def ready(self) -> bool:
        """The plugin folders were read: what is not there now is nowhere."""

    def view(self, owner: str) -> View | None:
        """The owner's modules now; None when it never had any."""


class Tenants(Protocol):
    """What the data plane reads of the store."""

    async def tenant(self, uuid: str) -> Tenant | None:
        """The tenant registered under this UUID."""


@dataclass(frozen=True)
class Observers:
    """Who hears of every answered call."""

    logs: CallLogs
    metrics: Metrics
    journal: Journal


class DataPlane:
    """The ASGI application of `/rest/`."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        tenants: Tenants,
        broker: Broker,
        runtime: RuntimeSettings,
        credentials: Credentials,
        observers: Observers,
        package_problem: Callable[[], str | None],
        limits: PlanLimits,
        usage: UsageMeter,
    ) -> None:
        """`package_problem` says why the admin's packages are not as required, if they are not."""
        self._admin = str(settings.ADMIN_UUID)
        self._catalogue = catalogue
        self._tenants = tenants
        self._broker = broker
        self._runtime = runtime
        self._credentials = credentials
        self._observers = observers
        self._package_problem = package_problem
        self._limits = limits
        self._usage = usage
        self._require_sign_in = settings.REQUIRE_SIGN_IN
        self._max_secs = settings.MAX_FUNCTION_SECS
        self._queue_secs = settings.MAX_QUEUE_SECS
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
        self._observe(scope, call, answer, time.perf_counter() - began)

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
        if _takes(self._require_sign_in, tenant) and (refusal := sign_in.refusal(scope, known)):
            return refusal
        takes_token = _takes(self._runtime.require_tokens, tenant)
        if takes_token and (refusal := await self._credentials.refusal(scope, owner, tenant)):
            return refusal
        answer = await self._served(scope, receive, call, addressed, tenant, view, segments)
        if takes_token or known.identity is not None:
            answer.headers += _NO_STORE
        return answer

    async def _served(
        self,
        scope: Any,
        receive: Any,
        call: str,
        addressed: str | None,
        tenant: Tenant | None,
        view: View,
        segments: list[str],
    ) -> Answer:
        """The answer to a request that is let through. `tenant` is the owner, None the admin."""
        owner, method = view.owner, scope["method"]
        if _is_directory(segments):
            return self._directory(view, method, segments)
        target = resolve(view, method, segments)
        names = self._runtime.url_parameters
        if len(target.parameters) > len(names):
            raise NotFound(
                f"{target.endpoint.api} takes at most {len(names)} URL parameters (NUM_URL_PARMS), "
                f"not {len(target.parameters)}."
            )
        if tenant is None:
            reply, _ = await self._run(scope, receive, call, addressed, target, view, names, self._max_secs)
            return answers.of_reply(reply, target, owner, None)
        try:
            async with self._limits.within(tenant) as plan:
                seconds = plan.seconds or self._max_secs
                reply, size = await self._run(scope, receive, call, addressed, target, view, names, seconds)
        except OverPlan as over:
            self._usage.count(owner, Usage(calls=1, refused=1))
            return answers.refused(429, str(over), ((b"retry-after", b"%d" % over.retry_after),))
        answer = answers.of_reply(reply, target, owner, f"/rest/services/{owner}/")
        self._usage.count(
            owner,
            Usage(
                calls=1,
                errors=int(answer.status >= 500),
                refused=int(reply.outcome is Outcome.OVER_LIMIT),
                cold_starts=int(reply.bind > 0),
                run_seconds=reply.run,
                bytes_in=size,
                bytes_out=len(answer.body),
            ),
        )
        return answer

    def _directory(self, view: View, method: str, segments: list[str]) -> Answer:
        if method not in _READ:
            return answers.method_not_allowed(method, _READ)
        shown = directory(view, segments[0] if len(segments) == 2 else None)
        if view.owner == self._admin and len(segments) == 1 and (problem := self._package_problem()):
            shown["problems"].append({"module": "requirements.txt", "text": problem, "line": None})
        return answers.json(200, shown)

    async def _run(
        self,
        scope: Any,
        receive: Any,
        call: str,
        addressed: str | None,
        target: Target,
        view: View,
        names: tuple[str, ...],
        max_secs: float,
    ) -> tuple[Reply, int]:
        """The reply, and how many bytes the request's body had."""
        endpoint = target.endpoint
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        body = await read_body(receive, self._max_body)
        payload = encode_arguments(
            api=endpoint.api,
            module=target.addressed,
            uuid=addressed,
            method=scope["method"],
            query_string=scope["query_string"],
            content_type=next((value for name, value in headers if name == b"content-type"), None),
            body=body,
            parameter_names=names,
            parameters=target.parameters,
            request=_facts(scope, headers, call) if endpoint.wants_request else None,
            max_fields=self._max_fields,
        )
        limit = min(endpoint.timeout or self._max_secs, self._max_secs, max_secs)
        try:
            reply = await ask(
                self._broker,
                Call(
                    id=call,
                    kind=Kind.INVOKE,
                    owner=view.owner,
                    revision=view.revision,
                    module=target.module.name,
                    function=endpoint.function,
                    concurrent=endpoint.concurrent,
                    limit=limit,
                    concurrency=endpoint.concurrency or 0,
                    deadline=time.time() + limit + self._queue_secs,
                    payload=payload,
                ),
            )
        except Refused as refused:
            outcome = Outcome.OVER_LIMIT if refused.limited else Outcome.UNAVAILABLE
            payload = refused.problem.encode()
            reply = Reply(call=call, outcome=outcome, payload=payload, retry_after=refused.retry_after)
        return reply, len(body)

    def _observe(self, scope: Any, call: str, answer: Answer, seconds: float) -> None:
        """Counts the call, writes its line, and keeps what it printed."""
        reply = answer.reply
        queue, run = (reply.queue, reply.run) if reply is not None else (0.0, 0.0)
        observers = self._observers
        if reply is None:
            observers.metrics.refused(answer.outcome, answer.status)
        else:
            observers.metrics.call(answer.outcome, answer.status, queue, reply.bind, run)
        client = scope["client"]
        observers.journal.access(
            call,
            client[0] if client else "",
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            answer.status,
            answer.outcome,
            seconds,
            queue,
            run,
        )
        if reply is not None and answer.target is not None and (reply.log or answer.status >= 500):
            observers.logs.add(
                time=time.time(),
                call=call,
                owner=answer.owner,
                module=answer.target.module.name,
                api=answer.target.endpoint.api,
                outcome=answer.outcome,
                status=answer.status,
                output=reply.log,
                truncated=reply.log_truncated,
                run_ms=run * 1000,
            )


def _takes(required: str, tenant: Tenant | None) -> bool:
    """Whether calls of this owner, None the admin, take what is required of `none`, `tenants` or `all`."""
    return required == "all" or (required == "tenants" and tenant is not None)


def _is_directory(segments: list[str]) -> bool:
    return bool(segments) and len(segments) <= 2 and segments[-1] in _DIRECTORY


def _facts(scope: Any, headers: list[tuple[bytes, bytes]], call: str) -> RequestFacts:
    client = scope["client"]
    known = SignIn.of(scope)
    return RequestFacts(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=without_keys(known.shown(headers)),
        client=client[0] if client else "",
        call=call,
        identity=known.identity,
    )
