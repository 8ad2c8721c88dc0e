"""The receiving half of a connection: what the parser finds, checked and bounded, becomes requests."""

from __future__ import annotations

import asyncio
import enum
from abc import ABC, abstractmethod
from typing import Any, Final

from uvicorn._types import HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.bad_request import BadRequest
from gateway.http import request_head
from gateway.http.deadlines import Bounds
from gateway.http.exchange import Exchange
from gateway.http.forwarded import PROXIED, SIGN_IN, Proxy
from gateway.http.held import Held

MAX_TARGET: Final = 8 * 1024
"""Bytes of a request target at most."""
FRAMING_BYTES: Final = 64 * 1024
FRAMING_FACTOR: Final = 8
"""What the framing of a body's chunks may take: so many bytes, and so many more for each byte of the body."""


class Part(enum.Enum):
    """What of a request is being received."""

    NOTHING = 0
    HEAD = 1
    BODY = 2


# Looking up a member of an enum costs as much as a call, and these are needed for every request.
NOTHING, HEAD, BODY = Part


class Receiving(HttpToolsProtocol, ABC):
    """The parser's callbacks. A BadRequest raised in one stops the parser for good."""

    bounds: Bounds
    held: Held
    """One for all connections of a server."""

    proxy: Proxy | None = None
    """Who may say whom a request is from; None: nobody."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.part = NOTHING
        self.stopping = False
        """The server is shutting down."""
        self.incoming: Exchange | None = None
        self.sender: tuple[str, int] | None = None
        """Whom the request that is being received is from, as far as that is known."""
        self._raw = b""
        """What the parser was given since, and including, the chunk in which the present head began."""
        self._head_bytes = 0
        """What it was given of the present head, not counting that chunk."""
        self._max_headers = self.bounds.max_headers
        self.held_here = 0
        """Bytes of bodies of this connection that count as held."""
        self._body_bytes = 0
        self._wire_bytes = 0
        """What the parser was given of the present body, with its framing, since the chunk it began in."""
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._noted: dict[bytes, bytes] = {}
        self._host: bytes | None = None

    @abstractmethod
    def begin(self, exchange: Exchange) -> None:
        """Gives a request to the application in its turn. A request begins when it is complete, or when
        there is more of it than is held here, so that one that turns out broken is not run."""

    @abstractmethod
    def received(self) -> None:
        """A request has arrived completely."""

    def feed(self, data: bytes) -> None:
        """Parses what was received. Raises HttpParserError, also around the BadRequest of a callback,
        and BadRequest for a head or a framing that grows too large."""
        if self.part is HEAD:
            self._head_bytes += len(data)
            self._raw += data
        else:
            self._raw = data
            self._wire_bytes += len(data)
        self.parser.feed_data(data)
        if self.part is HEAD:
            self._check_head_size(self._head_bytes)
        else:
            if self.part is BODY and self._wire_bytes > FRAMING_BYTES + FRAMING_FACTOR * self._body_bytes:
                raise BadRequest(400, "the framing of the chunks is larger than they are")
            self._raw = b""

    def on_message_begin(self) -> None:
        self.url = b""
        self._fields = []
        self._noted = {}
        self._head_bytes = 0
        self.sender = self.client
        self.part = HEAD

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > MAX_TARGET:
            raise BadRequest(414, f"request target is longer than {MAX_TARGET} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        fields = self._fields
        if fields is None:
            raise BadRequest(400, "trailers after the body are not taken: send them as headers")
        name = name.lower()
        value = value.rstrip()
        fields.append((name, value))
        if name in request_head.NOTED:
            if name in self._noted:
                raise BadRequest(400, f"{name.decode().title()} header comes twice: send exactly one")
            self._noted[name] = value
        if len(fields) > self._max_headers:
            raise BadRequest(431, f"the request has more than {self._max_headers} headers")

    def on_headers_complete(self) -> None:
        parser, noted, fields = self.parser, self._noted, self._fields or []
        sign_in = None
        if self.proxy is not None:
            fields, self.sender, sign_in = self.proxy.read(fields, self.client)
        if len(self._raw) > self.bounds.max_header_bytes:
            self._check_head_size(len(self.url) + sum(len(name) + len(value) + 4 for name, value in fields))
        version = parser.get_http_version()
        request_head.check_version(version)
        method = request_head.method_name(parser.get_method())
        if parser.should_upgrade():
            raise BadRequest(400, "nothing but HTTP/1.1 is spoken here: send no Upgrade header")
        host = noted.get(b"host")
        if host != self._host or host is None:
            request_head.check_host(host)
            self._host = host
        path, query = request_head.split_target(self.url, method)
        expects = len(noted) > 1 and request_head.check_body_headers(
            noted, self._raw, version, self.bounds.max_body_bytes
        )
        scope: HTTPScope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "method": method,
            "scheme": self.scheme or "http",
            # Escapes are left as they are: nothing here is served under a path that needs them, and a
            # path with one spelling cannot be read in two ways.
            "path": path.decode("ascii"),
            "raw_path": path,
            "query_string": query,
            "root_path": self.root_path,
            "headers": fields,
            "client": self.sender,
            "server": self.server,
            "state": self.app_state.copy(),
        }
        if sign_in is not None:
            scope["extensions"] = {PROXIED: {SIGN_IN: sign_in}}
        persistent = version == "1.1" and parser.should_keep_alive()
        exchange = self.incoming = Exchange(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            # A client that was not told to send its body may never send it: what follows an answer given
            # before the body could be the body or a request.
            keep_alive=persistent and not expects and not self.stopping,
            on_response=self.on_response_complete,
        )
        exchange.persistent = persistent
        self._fields = None
        self._body_bytes = 0
        self._wire_bytes = 0
        self.part = BODY
        if expects:
            self.begin(exchange)

    def on_body(self, body: bytes) -> None:
        exchange = self.incoming
        assert exchange is not None
        self._body_bytes += len(body)
        if self._body_bytes > self.bounds.max_body_bytes:
            raise request_head.too_large(self.bounds.max_body_bytes)
        if exchange.response_complete:
            return
        self.held.take(len(body))
        exchange.held += len(body)
        self.held_here += len(body)
        exchange.body += body
        if len(exchange.body) > HIGH_WATER_LIMIT:
            if not exchange.begun:
                self.begin(exchange)
            self.flow.pause_reading()
        exchange.message_event.set()

    def on_message_complete(self) -> None:
        exchange = self.incoming
        assert exchange is not None
        self.incoming = None
        self.part = NOTHING
        exchange.more_body = False
        exchange.message_event.set()
        if not exchange.begun:
            self.begin(exchange)
        elif exchange.persistent and not exchange.response_started and not self.stopping:
            exchange.keep_alive = True
        self.received()

    def release(self, size: int) -> None:
        """So many bytes of bodies are not kept any more; those of a lost connection count only once."""
        size = min(size, self.held_here)
        self.held_here -= size
        self.held.give_back(size)

    def _check_head_size(self, size: int) -> None:
        if size > self.bounds.max_header_bytes:
            raise BadRequest(431, f"request line and headers are larger than {self.bounds.max_header_bytes} bytes")
