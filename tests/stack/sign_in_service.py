"""The sign-in service as nginx sees it: a real server that answers as a request's cookie says, and counts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

ANN: Final = {
    "X-Auth-Request-User": "ann-1",
    "X-Auth-Request-Email": "ann@example.com",
    "X-Auth-Request-Groups": "staff,admins",
    "X-Auth-Request-Access-Token": "a-token-of-the-provider",
}


class SignInService(ThreadingHTTPServer):
    """Knows whoever has the cookie `session=202`, and answers others with the status in theirs, or 401."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, _Handler)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        """Method, target and headers, names in lower case."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def last(self) -> dict[str, str]:
        """Headers of the last request."""
        return self.requests[-1][2]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SignInService

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers))
        body = b"a page of the service"
        status = 200
        if self.path == "/oauth2/auth":
            status = int(headers.get("cookie", "").rpartition("session=")[2] or 401)
        if status == 0:  # as a process that is killed
            self.close_connection = True
            return
        self.send_response(status)
        if status == 202:
            for name, value in ANN.items():
                self.send_header(name, value)
        if status in (302, 307):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `requests`."""


def sign_in_image(python: str) -> str:
    """An image of it, in the place of oauth2-proxy's: it listens where that does, and knows no settings."""
    name = "plugbay-test-sign-in"
    code = "from sign_in_service import SignInService; SignInService(('0.0.0.0', 4180)).serve_forever()"
    lines = [
        *(f"FROM {python}", f"COPY {Path(__file__).name} /app/", "WORKDIR /app", "ENV PYTHONDONTWRITEBYTECODE=1"),
        f"ENTRYPOINT {json.dumps(['python3', '-c', code])}",
    ]
    command = ["docker", "build", "--quiet", "--tag", name, "--file", "-", str(Path(__file__).parent)]
    subprocess.run(command, input="\n".join(lines), text=True, check=True, capture_output=True)
    return name


@contextlib.contextmanager
def sign_in_service() -> Iterator[SignInService]:
    """One that serves."""
    with SignInService() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="sign-in service")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
