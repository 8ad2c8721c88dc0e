"""Plugbay over HTTP, as the tool sees it: answers, or a Problem that says what to do."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote
from uuid import UUID

from cli.address import listening, trust
from cli.installation import Installation
from cli.problem import NOT_REACHABLE, USAGE, NotAnswering, Problem

if TYPE_CHECKING:
    import httpx

CONNECT_SECS = 5.0
CONTROL_SECS = 60.0
"""The control plane answers within this; scaling down waits for calls in flight."""
_PART = 64 * 1024
"""What is sent at once of an upload."""

_PLAIN = "".join(map(chr, range(0x21, 0x7F)))
"""Characters that can stand in a request line as they are."""


class Server:
    """One Plugbay. Nothing is sent before a method is called."""

    def __init__(self, installation: Installation, url: str | None, *, key: str | None = None) -> None:
        """`url` beats the installation's own addresses, and `key` any other. Raises Problem when it is no URL."""
        import httpx

        url = url or listening(installation)
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Problem(f"{url} is no URL: {error}", USAGE) from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise Problem(f"{parsed} is no URL: write it like http://127.0.0.1:8080", USAGE)
        self.url = str(parsed).rstrip("/")
        self._below = parsed.path.rstrip("/")
        local = _loopback(parsed.host)
        # The installation's own key goes to no other machine than its own.
        own = installation.admin_key if local or parsed.host in installation.hosts else None
        self._starter = "./docker-up.sh" if url == installation.stack_url else "./runserver.sh"
        self._key = key or os.environ.get("PLUGBAY_KEY") or own
        self._token_key = installation.token_key
        self._admin = installation.admin_uuid
        # Reading the certificates this machine trusts takes longer than a call, and there no TLS is spoken.
        plain = local and parsed.scheme == "http"
        # A proxy from the environment leads away from this machine.
        self._client = httpx.Client(
            trust_env=not local,
            timeout=httpx.Timeout(CONTROL_SECS, connect=CONNECT_SECS),
            verify=trust(installation, self.url) or not plain,
        )

    def control(
        self, method: str, path: str, *, params: Mapping[str, str | int] | None = None, body: object = None
    ) -> Any:
        """The JSON that a path of the control plane answers; None when it has nothing to say. Raises Problem
        for anything but 2xx."""
        with self._reaching():
            response = self._client.request(
                method, self.url + path, params=params, json=body, headers=self._authorization()
            )
        return self._json(response)

    def upload(
        self, path: str, content: bytes, media_type: str, headers: Mapping[str, str], sent: Callable[[int], None]
    ) -> Any:
        """The JSON that a path of the control plane answers to a PUT of bytes; `sent` is told how many are on their
        way. Raises Problem."""

        def parts() -> Iterator[bytes]:
            for start in range(0, len(content), _PART):
                yield content[start : start + _PART]
                sent(min(start + _PART, len(content)))

        told = {"Content-Type": media_type, "Content-Length": str(len(content))}
        with self._reaching():
            response = self._client.put(
                self.url + path, content=parts(), headers=self._authorization() | told | dict(headers)
            )
        return self._json(response)

    def content(self, path: str) -> bytes:
        """What a path of the control plane answers, as it is. Raises Problem."""
        with self._reaching():
            response = self._client.get(self.url + path, headers=self._authorization())
        self._check(response)
        return response.content

    def is_ready(self, seconds: float) -> bool:
        """Whether it says within so many seconds that it would serve a call."""
        try:
            with self._reaching():
                return bool(self._client.get(f"{self.url}/readyz", timeout=seconds).is_success)
        except Problem:
            return False

    def download(self, path: str, file: BinaryIO) -> None:
        """Writes what a path of the control plane answers to a file, as it is. Raises Problem and OSError."""
        with self._reaching(), self._client.stream("GET", self.url + path, headers=self._authorization()) as response:
            if response.is_error:
                response.read()
            self._check(response)
            for part in response.iter_bytes():
                file.write(part)

    def directory(self, path: str) -> Any:
        """The JSON of a `__dir__` of the data plane, which takes no key."""
        return self._json(self.send("GET", path))

    def _json(self, response: httpx.Response) -> Any:
        self._check(response)
        if response.status_code == 204:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise self._stranger() from error

    def follow(self, path: str, params: Mapping[str, str | int]) -> Iterator[Any]:
        """The JSON values of a stream of lines, until the server ends it."""
        import httpx

        timeout = httpx.Timeout(CONTROL_SECS, connect=CONNECT_SECS, read=None)
        with (
            self._reaching(),
            self._client.stream(
                "GET", self.url + path, params=params, headers=self._authorization(), timeout=timeout
            ) as response,
        ):
            if response.is_error:
                response.read()
            self._check(response)
            for line in response.iter_lines():
                if line:
                    yield json.loads(line)

    def send(self, method: str, path_and_query: str, *, like: str = "", **content: Any) -> httpx.Response:
        """One request to the data plane, without the key: functions can read headers. The path is
        sent as it is, dots and all. The answer may take as long as its function; the server sets
        that limit. Where it takes a token and this machine can have one, it is sent again with it; the
        path of a call whose owner's it is may be given as `like`."""
        import httpx

        target = quote(self._below + path_and_query, safe=_PLAIN).encode()
        timeout = httpx.Timeout(CONTROL_SECS, connect=CONNECT_SECS, read=None)

        def sent(**more: Any) -> httpx.Response:
            with self._reaching():
                return self._client.request(method, self.url, timeout=timeout, extensions={"target": target}, **more)

        response = sent(**content)
        # Nothing was run yet when a token was missing.
        if response.status_code == 401 and response.headers.get("www-authenticate") == "Token" and self._can_mint:
            headers = content.get("headers", {}) | {
                "Authorization": f"Token {self.token(method, path_and_query, like or path_and_query)}"
            }
            response = sent(**content | {"headers": headers})
        return response

    @property
    def _can_mint(self) -> bool:
        return bool(self._token_key or self._key)

    def token(self, method: str, path_and_query: str, of: str = "") -> str:
        """A token for this request: made here with the key for tokens, or by the control plane. Its owner is the one
        of the path `of`, if that is given. Raises Problem."""
        from plugbay_client.token import TokenKey, mint

        target = quote(path_and_query, safe=_PLAIN).removesuffix("?")
        found = re.match(r"/rest/services/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=[/?]|$)", of or target)
        owner = self.owner(found[1] if found else None)
        if self._token_key:
            try:
                return mint(TokenKey.parse(self._token_key), UUID(owner), method, target)
            except ValueError as error:
                raise Problem(f"No token can be made: {error}", USAGE) from error
        wanted = {"method": method, "target": target}
        return str(self.control("POST", f"/api/tenants/{owner}/tokens", body=wanted)["token"])

    def owner(self, tenant: str | None) -> str:
        """The UUID of a tenant, or of the admin. Raises Problem when that is not known here."""
        owner = tenant or self._admin
        if owner is None:
            raise Problem("The admin's UUID is not known here: set ADMIN_UUID, or name a tenant (--tenant)", USAGE)
        try:
            return str(UUID(owner))
        except ValueError as error:
            raise Problem(f"{owner} is no UUID", USAGE) from error

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if "[SSL" in str(error):
                raise Problem(f"The connection to {self.url} failed: {error}", NOT_REACHABLE) from error
            raise NotAnswering(f"Plugbay is not answering at {self.url}: start it with {self._starter}") from error
        except httpx.TimeoutException as error:
            raise NotAnswering(f"Plugbay at {self.url} took too long to answer") from error
        except httpx.TransportError as error:
            raise Problem(f"The connection to {self.url} failed: {error}", NOT_REACHABLE) from error

    def _check(self, response: httpx.Response) -> None:
        if response.is_success:
            return
        try:
            answer = response.json()
            summary = str(answer["status"])
            errors = [(str(error["field"]), str(error["problem"])) for error in answer.get("errors", ())]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._stranger() from error
        if response.status_code == 401:
            summary = (
                f"Plugbay at {self.url} does not take this key. It takes the ADMIN_KEY of its own .env.local, "
                "or a tenant's key that is good: set PLUGBAY_KEY to it"
                if self._key
                else f"Plugbay at {self.url} wants a key: set PLUGBAY_KEY to the ADMIN_KEY of its .env.local"
            )
            errors = []
        raise Problem(summary, errors=errors)

    def _stranger(self) -> Problem:
        return Problem(
            f"What answers at {self.url} is not Plugbay: see GATEWAY_PORT and HTTP_PORT in .env, or --url",
            NOT_REACHABLE,
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
