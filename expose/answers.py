"""What a function returns or raises when a JSON value with status 200 is not what it wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Response:
    """An answer whose status, headers and media type the function sets itself.

        return expose.Response("<h1>Hello</h1>", media_type="text/html")
        return expose.Response({"created": 7}, status=201, headers={"X-Item": "7"})

    `body` is `bytes`, `str` or any JSON value, sent as it is, without the platform's envelope; None is
    an empty one. Without `media_type` it is `application/octet-stream`, `text/plain` or
    `application/json` accordingly.
    `headers` is a mapping, or pairs where a name comes more than once; the platform drops those that
    frame the message or are its own. Raises ValueError when `status` is not 200 to 599.
    """

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        body: Any = None,
        status: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        media_type: str | None = None,
    ) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"status is {status}: a response has a status from 200 to 599")
        self.body = body
        self.status = int(status)
        self.headers: tuple[tuple[str, str], ...] = _pairs(headers)
        self.media_type = media_type

    def __repr__(self) -> str:
        return f"Response(status={self.status}, media_type={self.media_type!r})"


def _pairs(headers: Mapping[str, str] | Iterable[tuple[str, str]] | None) -> tuple[tuple[str, str], ...]:
    if headers is None:
        return ()
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)


class HTTPError(Exception):
    """Raised to answer with an error status; callers get `{"status": detail}`.

        raise expose.HTTPError(404, "there is no such book")

    `detail` is any JSON value. Raises ValueError when `status` is not 400 to 599.
    """

    def __init__(self, status: int, detail: Any) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"status is {status}: an error has a status from 400 to 599")
        super().__init__(status, detail)
        self.status = int(status)
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}"
