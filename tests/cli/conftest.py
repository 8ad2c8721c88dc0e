"""The tool against a small real HTTP server that answers what each test says."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.app import app

KEY = "the-key-of-the-tests"


@dataclass(frozen=True)
class Request:
    """One request that the server got."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakePlugbay:
    """Answers by method and path (without the query); anything else is 404 in Plugbay's form."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def answers_json(self, method: str, path: str, value: Any, status: int = 200, **headers: str) -> None:
        """What to answer there, as JSON. `_` in names of headers stands for `-`."""
        self.answers_bytes(method, path, json.dumps(value).encode(), "application/json", status, **headers)

    def answers_bytes(
        self, method: str, path: str, body: bytes, media_type: str, status: int = 200, **headers: str
    ) -> None:
        """What to answer there, as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[method, path] = (status, {"Content-Type": media_type} | named, body)

    @contextmanager
    def over_tls(self, certificate: Path) -> Iterator[str]:
        """Serves the same over HTTPS for the length of a block; gives the port. The file holds the key, too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": self})) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield str(server.server_address[1])
            finally:
                server.shutdown()
                thread.join()

    @property
    def last(self) -> Request:
        """The newest request."""
        return self.requests[-1]


class _Handler(BaseHTTPRequestHandler):
    fake: FakePlugbay

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.requests.append(Request(self.command, self.path, headers, body))
        nothing = (404, {"Content-Type": "application/json"}, b'{"status":"nothing here","errors":[]}')
        status, answered, content = self.fake.answers.get((self.command, self.path.partition("?")[0]), nothing)
        self.send_response(status)
        for name, value in (answered | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def plugbay() -> Iterator[FakePlugbay]:
    fake = FakePlugbay()
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@dataclass
class Tool:
    """Runs `plugbay` in this process, not on a terminal."""

    environ: dict[str, str]

    def __call__(self, *args: str, stdin: bytes | str | None = None, **environ: str) -> Result:
        return CliRunner().invoke(
            app, list(args), input=stdin, env=self.environ | environ, prog_name="plugbay", catch_exceptions=False
        )


@pytest.fixture
def tool(plugbay: FakePlugbay) -> Tool:
    """The tool, with the address and key of the server in its environment."""
    return Tool({"PLUGBAY_URL": plugbay.url, "PLUGBAY_KEY": KEY})
