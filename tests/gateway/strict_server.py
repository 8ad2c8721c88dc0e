"""A real uvicorn server with the strict protocol, a small application behind it, and a raw client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self

import uvicorn
import uvloop
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from gateway.http.forwarded import PROXIED, Proxy
from gateway.http.protocol import Bounds, strict_protocol

TIMEOUT = 10.0
HOST = b"Host: a\r\n"
CANARY = b"GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"


def bounds(**changed: Any) -> Bounds:
    """Bounds that no ordinary request meets, but for those given."""
    ordinary: dict[str, Any] = {
        "header_secs": 10.0,
        "body_secs": 10.0,
        "write_secs": 10.0,
        "keepalive_secs": 10.0,
        "max_headers": 100,
        "max_header_bytes": 32 * 1024,
        "max_body_bytes": 1024 * 1024,
        "max_connections": 500,
        "max_held_bytes": 128 * 1024 * 1024,
    }
    return Bounds(**(ordinary | changed))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answers(data: bytes) -> list[Answer]:
    """The answers of which `data` exactly consists."""
    found: list[Answer] = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        assert end, f"half an answer: {data!r}"
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers: dict[str, str] = {}
        for field in fields:
            name, _, value = field.partition(": ")
            assert name not in headers, f"{name} twice"
            headers[name] = value
        length = int(headers.get("content-length", "0"))
        assert len(rest) >= length, f"half a body: {rest!r}"
        found.append(Answer(int(status), headers, rest[:length]))
        data = rest[length:]
    return found


class StrictServer:
    """Serves until left. `served` are the requests that reached the application, as `METHOD path`."""

    def __init__(self, bounds: Bounds, proxy: Proxy | None = None) -> None:
        self.served: list[str] = []
        self.running = threading.Semaphore(0)
        """Released for each request to /wait that has begun."""
        self.gone = threading.Event()
        """The application was told that a client is gone."""
        config = uvicorn.Config(
            self._app,
            host="127.0.0.1",
            port=0,
            http=strict_protocol(bounds, proxy),
            interface="asgi3",
            ws="none",
            lifespan="off",
            loop="uvloop",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
        self.uvicorn = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(TIMEOUT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self.stop()
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive(), "the server does not end"

    def stop(self) -> None:
        self.uvicorn.should_exit = True

    def release(self) -> None:
        """Lets every request to /wait end."""
        with contextlib.suppress(RuntimeError):  # the server has ended
            self._loop.call_soon_threadsafe(self._gate.set)

    def wait_for_connections(self, count: int) -> None:
        """Returns when the server holds this many."""
        tried = threading.Event()
        for _ in range(int(TIMEOUT / 0.005)):
            if len(self.uvicorn.server_state.connections) == count:
                return
            tried.wait(0.005)
        raise AssertionError(f"not {count} connections but {len(self.uvicorn.server_state.connections)}")

    def wait_until_refusing(self) -> None:
        """Returns when a server that stops takes no connection any more."""
        tried = threading.Event()
        for _ in range(int(TIMEOUT / 0.005)):
            try:
                self.connect().close()
            except ConnectionRefusedError:
                return
            tried.wait(0.005)
        raise AssertionError("it still takes connections")

    def connect(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def talk(self, data: bytes | Iterable[bytes]) -> list[Answer]:
        """What the server answers to these bytes until it closes."""
        with self.connect() as client:
            for piece in [data] if isinstance(data, bytes) else data:
                client.sendall(piece)
            return answers(read_all(client))

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._gate = asyncio.Event()
        self._ready.set()
        await self.uvicorn.serve(sockets=[self._socket])

    async def _app(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        path = scope["path"]
        self.served.append(f"{scope['method']} {path}")
        if path == "/fail":
            raise ValueError("the application is broken")
        status, body = 200, b""
        if path == "/early":
            status = 401
        else:
            while True:
                event = await receive()
                if event["type"] != "http.request":
                    self.gone.set()
                    return
                body += event["body"]
                if not event["more_body"]:
                    break
        if path == "/wait":
            self.running.release()
            await self._gate.wait()
        answer = bytes(int(scope["query_string"])) if path == "/big" else _echo(scope, body)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-length", b"%d" % len(answer))],
            }
        )
        await send({"type": "http.response.body", "body": answer, "more_body": False})


def _echo(scope: HTTPScope, body: bytes) -> bytes:
    return json.dumps(
        {
            "method": scope["method"],
            "path": scope["path"],
            "raw_path": scope["raw_path"].decode("ascii"),
            "query": scope["query_string"].decode("ascii"),
            "version": scope["http_version"],
            "client": (scope["client"] or ("",))[0],
            "proxied": PROXIED in scope.get("extensions", {}),
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "body": body.decode("latin-1"),
        }
    ).encode()


def read_all(client: socket.socket) -> bytes:
    """What comes until the server closes; a reset ends it as well."""
    data = bytearray()
    while True:
        try:
            piece = client.recv(65536)
        except ConnectionResetError:
            return bytes(data)
        if not piece:
            return bytes(data)
        data += piece


def refused(server: StrictServer, attack: bytes, status: int) -> None:
    """The attack and a canary in one segment get exactly one answer, and nothing reaches the application."""
    server.served.clear()
    [answer] = server.talk(attack + CANARY)
    assert answer.status == status
    assert set(answer.json) == {"status"}
    assert answer.json["status"]
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-call-id"])
    assert "server" not in answer.headers
    assert server.served == []
