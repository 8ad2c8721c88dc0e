"""The server's side of one HTTP/1.1 connection: strict parsing, bounds and deadlines.

uvicorn's own protocol has no deadline for receiving a request and hardly a bound on what it receives.
This one refuses what could be read in two ways, answers in the order of the requests, and after a
refusal looks at nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import httptools

from calls.call import new_call_id
from gateway.bad_request import BadRequest
from gateway.http import request_head
from gateway.http.deadlines import Bounds, Deadlines, Waits, durations
from gateway.http.exchange import Exchange, refusal
from gateway.http.forwarded import Proxy
from gateway.http.held import Held
from gateway.http.receiving import BODY, HEAD, NOTHING, Receiving

__all__ = ["Bounds", "StrictProtocol", "strict_protocol"]

MAX_PIPELINED: Final = 100
"""Requests of one connection that may wait behind the one being answered."""
REFUSED_CONNECTIONS: Final = 100
"""Connections above the bound that are told so; further ones are closed without a word."""

LAST_SECS: Final = 1.0
"""Seconds until a stopping server closes the proxy's idle connections: it may be sending a request just now."""

_ANSWER, _REQUEST = Waits.ANSWER, Waits.REQUEST

_log = logging.getLogger("plugbay.gateway.http.protocol")


class StrictProtocol(Receiving):
    """One connection. `strict_protocol` makes the class for a server's bounds."""

    durations: dict[Waits, float]
    _refused: BadRequest | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        bounds = self.bounds
        self._deadlines = Deadlines(self.loop, transport, self.durations, bounds.write_secs, self._expired)
        above = len(self.connections) - bounds.max_connections
        if above > REFUSED_CONNECTIONS:
            transport.abort()
        elif above > 0:
            problem = f"{bounds.max_connections} connections are open: try again later"
            self._refuse(BadRequest(503, problem, headers=((b"retry-after", b"1"),)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadlines.stop()
        self.release(self.held_here)
        self.held.has_read(self.transport)
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client sends nothing more; the connection closes once what is written is sent."""
        if self.part is not NOTHING and not self._busy:
            self._refuse(BadRequest(400, "the connection was closed before the request was complete"))

    def data_received(self, data: bytes) -> None:
        if self._refused is not None:
            return
        try:
            self.feed(data)
            if self.part is not NOTHING:
                self._expect_more()
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, BadRequest):
                raise
            self._refuse(error.__context__)
        except httptools.HttpParserError as error:
            self._refuse(request_head.explain(error, data))
        except BadRequest as problem:
            self._refuse(problem)

    def _expect_more(self) -> None:
        """What was received ends in the middle of a request."""
        awaited = Waits.HEAD if self.part is HEAD else Waits.BODY
        if self._deadlines.waits is not awaited:
            self._deadlines.wait(awaited)

    @property
    def _busy(self) -> bool:
        """A request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def begin(self, exchange: Exchange) -> None:
        exchange.begun = True
        if not self._busy:
            self.cycle = exchange
            self._start_asgi_task(exchange, self.app)
        elif len(self.pipeline) < MAX_PIPELINED:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))
        else:
            raise BadRequest(429, f"more than {MAX_PIPELINED} requests wait on this connection: read the answers")

    def received(self) -> None:
        self._deadlines.wait(_ANSWER if self._busy else _REQUEST)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.held_here:
            assert isinstance(self.cycle, Exchange)
            self.release(self.cycle.held)
        if self.transport.is_closing():
            return
        if self.pipeline:
            self.cycle, app = self.pipeline.pop()
            self._start_asgi_task(self.cycle, app)
        elif self._refused is not None:
            self._say(self._refused)
            return
        else:
            self.flow.resume_reading()
            if self.part is NOTHING:
                self._deadlines.wait(_REQUEST)
        if self.part is not NOTHING:
            self._deadlines.wait(self._deadlines.waits)  # reading begins again only now

    def shutdown(self) -> None:
        self.stopping = True
        if self.proxy is None or self._busy:
            super().shutdown()
            return
        # A request that nginx sends on a connection while it is closed is lost: the next one is answered, and
        # its answer tells nginx that there will be none after it.
        if self.incoming is not None:
            self.incoming.keep_alive = False
        self.loop.call_later(LAST_SECS, self._close_idle)

    def _close_idle(self) -> None:
        if not self._busy and self.part is NOTHING:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.held.wait_for(self.transport)

    def resume_writing(self) -> None:
        self.held.has_read(self.transport)
        self._deadlines.client_reads()
        super().resume_writing()

    def _expired(self) -> None:
        waits = self._deadlines.waits
        if self.part is not NOTHING and self.flow.read_paused:
            self._deadlines.wait(waits)  # we do not read, so the client cannot send
        elif self.part is BODY:
            self._refuse(BadRequest(408, f"the body did not arrive within {self.bounds.body_secs:g} seconds"))
        elif self.part is HEAD:
            self._refuse(BadRequest(408, f"the headers did not arrive within {self.bounds.header_secs:g} seconds"))
        elif waits is Waits.END:
            self.transport.abort()
        else:
            # Nothing was asked: an answer would be taken for the answer to the next request.
            self.transport.close()

    def _refuse(self, problem: BadRequest) -> None:
        """Answers the request that is being received, after those before it, and ends the connection."""
        if self.transport.is_closing():
            return
        self._refused = problem
        exchange, self.incoming = self.incoming, None
        self.part = NOTHING
        if exchange is not None:
            self.release(exchange.held)
            exchange.held = 0
        if exchange is not None and exchange is self.cycle:
            exchange.disconnected = True
            exchange.message_event.set()
            if exchange.response_started:
                # A second answer to it would be taken for the answer to something else.
                self.transport.close()
                return
        elif exchange is not None and exchange.begun:
            self.pipeline.popleft()
            exchange = None
        if exchange is not self.cycle and self._busy:
            self.flow.pause_reading()
            self._deadlines.wait(_ANSWER)
        else:
            self._say(problem)

    def _say(self, problem: BadRequest) -> None:
        call = new_call_id()
        _log.info("%d to %s: %s", problem.status, self.sender or self.client, problem.problem, extra={"call": call})
        self.transport.write(refusal(problem, call, self.server_state.default_headers))
        self.transport.write_eof()
        self.flow.resume_reading()
        self._deadlines.wait(Waits.END)


def strict_protocol(bounds: Bounds, proxy: Proxy | None = None) -> type[StrictProtocol]:
    """The protocol class for a server with these bounds: `uvicorn.Config(http=strict_protocol(bounds))`. `proxy`
    may say whom a request is from."""
    own = {"bounds": bounds, "durations": durations(bounds), "held": Held(bounds.max_held_bytes), "proxy": proxy}
    return type("BoundedProtocol", (StrictProtocol,), own)
