"""Calls of a tenant's functions, each with a token of its own or all with an API key."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from plugbay_client.token import TokenKey, mint

_PLAIN: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "").replace("?", "")
"""Characters of a path that are sent as they are; Plugbay itself refuses most of them."""
_API_KEY: Final = re.compile(r"pba_([0-9a-f]{32})_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Answer:
    """What Plugbay answered."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes

    def value(self) -> Any:
        """The body as JSON value when that is what it is, else its bytes."""
        if self.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return self.body
        return json.loads(self.body)


class CallFailed(Exception):
    """The status is 400 or more; `answer` has all of it."""

    def __init__(self, answer: Answer, problem: str) -> None:
        super().__init__(f"{answer.status}: {problem}")
        self.answer = answer


class Client:
    """Calls functions of one tenant. May be used by several threads at once.

    Redirects are not followed and no proxy is taken from the environment: a token goes nowhere else.
    """

    def __init__(self, url: str, tenant: str, key: str | None = None, *, timeout: float = 60.0) -> None:
        """`url` is where Plugbay is reached, with the path below which a proxy has it, if any. `tenant` is a UUID,
        the admin's for functions of the admin. With `key`, each call has a token made with it (`pbk_…`), or the key
        itself (`pba_…`, an API key with the scope `call`). `timeout` in seconds, for each wait for the network.
        Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{url!r} is no address: write it like https://plugbay.example")
        self._https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._below = quote(parts.path.rstrip("/"), safe=_PLAIN)
        self._tenant = UUID(tenant)
        self._api_key = _api_key(key, self._tenant) if key is not None and key.startswith("pba_") else None
        self._key = TokenKey.parse(key) if key is not None and self._api_key is None else None
        self._timeout = timeout
        self._tls = ssl.create_default_context() if self._https else None

    def call(
        self,
        api: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """What a function returned: a JSON value, or bytes when it answers something else.

        `api` may have a module before it and URL parameters behind it: `shop/add/1/2`. `arguments` go as a JSON
        body, and `method` is then POST when not given, else GET. Values of `query` may be lists.
        Raises CallFailed for a status of 400 or more, OSError or http.client.HTTPException when there is no
        answer. What was not answered may have run: each try is a call of its own.
        """
        body = None if arguments is None else json.dumps(arguments).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = self.send(method or ("GET" if body is None else "POST"), api, body, headers, query)
        if answer.status >= 400:
            raise CallFailed(answer, _problem(answer))
        value = answer.value()
        # The envelope has one entry, named as the API: what a function itself answers stays whole.
        if isinstance(value, dict) and value.keys() == {"status", "response"} and value["status"] == "OK":
            inner = value["response"]
            if isinstance(inner, dict) and len(inner) == 1 and next(iter(inner)) in api.split("/"):
                return next(iter(inner.values()))
        return value

    def send(
        self,
        method: str,
        api: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One request as given, whatever its status. Raises as `call` does, but not CallFailed."""
        target = f"/rest/services/{self._tenant}/{quote(api.strip('/'), safe=_PLAIN)}/"
        if query:
            target += "?" + urlencode(query, doseq=True)
        sent = dict(headers or {})
        if self._key is not None:
            sent["Authorization"] = "Token " + mint(self._key, self._tenant, method, target)
        elif self._api_key is not None:
            sent["Authorization"] = f"Bearer {self._api_key}"
        connection = self._connect()
        try:
            connection.request(method, self._below + target, body, sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)


def _api_key(text: str, tenant: UUID) -> str:
    """An API key, when it is one of this tenant. Raises ValueError, which does not repeat it."""
    found = _API_KEY.fullmatch(text)
    if found is None:
        raise ValueError("this is no API key: it is as plugbay api-keys new shows it")
    if found[1] != tenant.hex:
        raise ValueError("this API key is another tenant's")
    return text


def _problem(answer: Answer) -> str:
    """The one sentence of an error."""
    try:
        value = answer.value()
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return http.client.responses.get(answer.status, "an error")
    return str(value.get("exception") or value.get("status"))
