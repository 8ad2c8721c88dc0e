"""A server that lets calls through as docs/tokens.md says, and serves the files for browsers: no platform behind it."""

from __future__ import annotations

import contextlib
import json
import mimetypes
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

from plugbay_client.token import TokenKey
from tests.docs.markdown import ROOT
from tokens.opening import BadToken, check_fresh, open_token

TENANT = UUID("0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1")
FILES = ROOT / "browser"


class SmallPlugbay(ThreadingHTTPServer):
    """One key, and the token ids it has seen."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = TokenKey.new()
        self.seen: set[bytes] = set()
        self.requests: list[str] = []
        """Methods and targets, in order."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: SmallPlugbay

    def do_GET(self) -> None:
        if self.path.startswith("/rest/"):
            self._call()
        else:
            self._file()

    def do_POST(self) -> None:
        self._call()

    do_PUT = do_DELETE = do_POST

    def do_OPTIONS(self) -> None:
        allow = {"access-control-allow-methods": "*", "access-control-allow-headers": "Authorization, Content-Type"}
        self._answer(204, b"", allow)

    def _call(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append(f"{self.command} {self.path}")
        try:
            self._check()
        except BadToken as error:
            self._json(401, {"status": f"not let through: {error}"})
            return
        api = self.path.partition("?")[0].strip("/").split("/")[3]
        if api == "elsewhere":
            self._answer(302, b"", {"location": "http://127.0.0.1:1/"})
        elif api == "raises":
            self._json(500, {"status": "ERROR", "exception": "ValueError: no", "call": "c"})
        elif api == "bytes":
            self._answer(200, b"\0\1", {"content-type": "application/octet-stream"})
        else:
            self._json(200, {"status": "OK", "response": {api: json.loads(body) if body else self.path}})

    def _check(self) -> None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme != "Token":
            raise BadToken("there is none")
        keys = {self.server.key.id: self.server.key.secret}
        target = self.path.removesuffix("?").encode()
        opened = open_token(token.encode(), keys, TENANT.bytes, self.command.encode(), target)
        check_fresh(opened, int(time.time() * 1000), 30)
        if opened.jti in self.server.seen:
            raise BadToken("it was used")
        self.server.seen.add(opened.jti)

    def _file(self) -> None:
        if self.path == "/strict":
            policy = {"content-type": "text/html", "content-security-policy": "script-src 'self'"}
            self._answer(200, b"<!doctype html>", policy)
            return
        file = FILES / self.path.lstrip("/")
        if not file.is_file():
            self._answer(404, b"", {})
            return
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._answer(200, file.read_bytes(), {"content-type": media_type})

    def _json(self, status: int, content: object) -> None:
        self._answer(status, json.dumps(content).encode(), {"content-type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("access-control-allow-origin", "*")
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests print what they need."""


@contextlib.contextmanager
def small_plugbay() -> Iterator[SmallPlugbay]:
    """One that serves."""
    server = SmallPlugbay()
    thread = threading.Thread(target=server.serve_forever, name="small plugbay")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
