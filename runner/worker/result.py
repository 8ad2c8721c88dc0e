"""From what a function returned or raised to the one answer of its call."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from calls.call import Outcome
from expose.answers import HTTPError, Response
from expose.files import File
from runner.worker.binding import InvalidArguments, MalformedArguments

MAX_DETAIL: Final = 64 * 1024
"""Bytes of an HTTPError's detail, as JSON."""
MAX_HEADER_BYTES: Final = 16 * 1024
"""Bytes of all headers a function sets."""
_MAX_PROBLEMS: Final = 100
"""Problems told to one caller."""

_NO_KEYS = (bool, tuple, frozenset, bytes)
"""What msgspec encodes itself, so that it is asked about it only as the key of a dict."""

_ROOT = str(Path(__file__).parents[2])
_TEMPORARY = tempfile.gettempdir()
_MODULES = re.compile(r"(?<![\w.-])" + re.escape(_TEMPORARY) + r"/(modules-\d+/)?")
"""Where workers unpack packages: taken out of texts, `pkg/data.csv` is what an author knows."""
_type_name = type.__dict__["__name__"].__get__
"""The name of a class whatever its metaclass says."""
_TRACEBACK = "Traceback (most recent call last)"


class Finished(msgspec.Struct, frozen=True):
    """How a call ended, as it goes into its Result frame."""

    outcome: Outcome
    payload: bytes
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = ""


def _plain(value: Any) -> Any:
    """What msgspec cannot encode itself. Raises TypeError that tells the author what to return instead."""
    name = type(value).__name__
    if value is None or isinstance(value, _NO_KEYS):
        raise TypeError(f"a dict with keys of type {name} cannot be sent as JSON: make its keys text")
    # Of a subclass, such as numpy's float64: the others do not come here.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, File):
        return {"name": value.name, "media_type": value.media_type, "content": value.content}
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):  # numpy, pandas
        return value.tolist()
    if hasattr(value, "__iter__") or hasattr(value, "__aiter__"):
        raise TypeError(f"a value of type {name} cannot be sent as JSON: return a list made of it")
    raise TypeError(
        f"a value of type {name} cannot be sent as JSON: return a dict, list, str, number, bool, None, a dataclass, "
        "bytes or expose.Response"
    )


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError)


def finish(value: Any, max_result: int) -> Finished:
    """The answer for a returned value, of at most `max_result` bytes.

    NaN and infinities become null, as JSON has none; bytes inside a value become base64.
    """
    if isinstance(value, Response):
        return _respond(value, max_result)
    if isinstance(value, bytes | bytearray | memoryview):
        return _bounded(Finished(Outcome.RESPONSE, bytes(value), 200, (), "application/octet-stream"), max_result)
    if isinstance(value, str) and len(value) > max_result:  # before another copy of it is made
        return _too_large(max_result)
    try:
        payload = _encode(value)
    except _UNENCODABLE as error:
        return _raised(_describe(error))
    return _bounded(Finished(Outcome.VALUE, payload), max_result)


def failed(error: BaseException, max_text: int = 1024) -> Finished:
    """The answer for an exception; texts have at most `max_text` bytes, no traceback and no path of the platform's."""
    if isinstance(error, HTTPError):
        return _http_error(error)
    if isinstance(error, AssertionError):
        return Finished(Outcome.FORBIDDEN, _cut(_message(error) or "forbidden", max_text))
    if isinstance(error, InvalidArguments):
        return Finished(Outcome.INVALID, _encode(error.problems[:_MAX_PROBLEMS]))
    if isinstance(error, MalformedArguments):
        return Finished(Outcome.MALFORMED, _cut(_message(error), max_text))
    return _raised(_describe(error), max_text)


def _respond(response: Response, max_result: int) -> Finished:
    body = b"" if response.body is None else response.body
    if isinstance(body, str):
        media_type = "text/plain; charset=utf-8"
        body = body.encode("utf-8", "replace") if len(body) <= max_result else bytes(max_result + 1)
    elif isinstance(body, bytes | bytearray | memoryview):
        media_type = "application/octet-stream"
        body = bytes(body)
    else:
        media_type = "application/json"
        try:
            body = _encode(body)
        except _UNENCODABLE as error:
            return _raised(_describe(error))
    if type(response.status) is not int or not 200 <= response.status <= 599:
        return _raised(f"invalid status {response.status!r}: a response has a status from 200 to 599")
    try:
        headers = _headers(response.headers)
        media_type = _latin(response.media_type, "media_type") if response.media_type else media_type
    except ValueError as error:
        return _raised(str(error))
    return _bounded(Finished(Outcome.RESPONSE, body, response.status, headers, media_type), max_result)


def _headers(given: object) -> tuple[tuple[str, str], ...]:
    """The pairs as plain text. Raises ValueError for what cannot travel; the gateway decides the rest."""
    headers: list[tuple[str, str]] = []
    size = 0
    for pair in given if isinstance(given, tuple) else (given,):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError("invalid header: write headers={'X-Name': 'value'}")
        name = _latin(pair[0], "a name")
        headers.append((name, _latin(pair[1], name)))
        size += len(name) + len(headers[-1][1])
        if size > MAX_HEADER_BYTES:
            raise ValueError(f"invalid header: all together are larger than {MAX_HEADER_BYTES} bytes")
    return tuple(headers)


def _latin(text: object, what: str) -> str:
    if not isinstance(text, str):
        raise ValueError(f"invalid header: {what[:100]} is {type(text).__name__}, not text")
    try:
        return text.encode("latin-1").decode("latin-1")
    except UnicodeEncodeError as error:
        raise ValueError(f"invalid header: {what[:100]} has characters outside Latin-1") from error


def _http_error(error: HTTPError) -> Finished:
    if type(error.status) is not int or not 400 <= error.status <= 599:
        return _raised(f"invalid status {error.status!r}: an HTTPError has a status from 400 to 599")
    try:
        detail = _encode(error.detail)
    except _UNENCODABLE as problem:
        return _raised(_describe(problem))
    if len(detail) > MAX_DETAIL:
        return _raised(f"HTTPError: detail larger than {MAX_DETAIL} bytes")
    return Finished(Outcome.HTTP_ERROR, detail, error.status)


def _bounded(finished: Finished, max_result: int) -> Finished:
    return finished if len(finished.payload) <= max_result else _too_large(max_result)


def _too_large(max_result: int) -> Finished:
    return _raised(f"result larger than {max_result} bytes")


def _raised(text: str, max_text: int = 1024) -> Finished:
    return Finished(Outcome.RAISED, _cut(text, max_text))


def _describe(error: BaseException) -> str:
    """`ValueError: its message`, as a traceback's last line has it."""
    message = _message(error)
    name = _type_name(type(error))
    return f"{name}: {message}" if message else name


def _message(error: BaseException) -> str:
    """The exception's own text, without what only its author should see: that is in the call's log."""
    try:
        text = str(error)[: 64 * 1024]
    except BaseException as unprintable:  # noqa: BLE001  # plugin code runs while its exception is printed
        return f"({type(unprintable).__name__} while printing it)"
    if _TRACEBACK in text:
        text = text.partition(_TRACEBACK)[0].rstrip() + " (traceback in the log)"
    places = [_ROOT, sys.prefix, *(sys.path if isinstance(sys.path, list) else ())]
    folders = {place for place in places if isinstance(place, str) and place.startswith("/") and place != "/"}
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(f"{folder}/", "")
    return _MODULES.sub("", text).replace(_TEMPORARY, "/tmp")


def _cut(text: str, max_bytes: int) -> bytes:
    """Valid UTF-8 of at most `max_bytes`."""
    data = text[:max_bytes].encode("utf-8", "replace")
    return data if len(data) <= max_bytes else data[:max_bytes].decode("utf-8", "ignore").encode()
