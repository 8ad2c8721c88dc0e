"""Everything a function can be given, put together from a request and encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from calls import payload
from calls.payload import Arguments, UploadedFile
from gateway.bad_request import BadRequest, field_problem
from gateway.identity import Identity
from gateway.request.body import MAP, announces_json, decode_body
from gateway.request.form import decode_pairs
from gateway.request.json_body import decode_json
from settings import check_parameter_names

MAX_MAP: Final = 64 * 1024
"""Bytes of `__map__` at most."""

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_MUST_SAY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose body is not empty when it is announced as JSON."""

_encode = msgspec.json.Encoder().encode
_string = msgspec.json.Decoder(str)


class RequestFacts(msgspec.Struct, frozen=True):
    """What a function may know of the request itself; `__request__` in its arguments."""

    method: str
    path: str
    query: str
    headers: Iterable[tuple[bytes, bytes]]
    """Names in lower case."""
    client: str
    """Address of the client."""
    call: str
    """Id of the call."""
    identity: Identity | None
    """Who is signed in, as far as the stack's nginx says so."""

    def encode(self) -> bytes:
        """JSON object: repeated headers are joined, cookies with `; `, others with `, `."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in self.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name in headers:
                value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
            headers[name] = value
        return _encode(
            {
                "method": self.method,
                "path": self.path,
                "query": self.query,
                "headers": headers,
                "client": self.client,
                "call": self.call,
                "identity": self.identity,
            }
        )


def encode_arguments(
    *,
    api: str,
    module: str | None,
    uuid: str | None,
    method: str,
    query_string: bytes,
    content_type: bytes | None,
    body: bytes,
    parameter_names: Sequence[str],
    parameters: Sequence[str],
    request: RequestFacts | None,
    max_fields: int,
) -> bytes:
    """The payload of a call: body fields, then query, then URL parameters; the later wins.

    `api`, `module` and `uuid` as addressed; `parameters` are the URL's, no more of them than there are
    `parameter_names`; `request` only for functions that can receive it. Raises BadRequest.
    """
    files: list[UploadedFile] = []
    content: bytes | None = None
    named = list(zip(parameter_names[: len(parameters)], parameters, strict=True))
    query = decode_pairs(query_string, "query", max_fields, 414) if query_string else None
    if body:
        decoded = decode_body(body, content_type, max_fields, mapped=method in _WITH_BODY)
        files, content = decoded.files, decoded.content
        if decoded.map is not None:
            named = _rename(named, decoded.map, parameter_names)
        if query:
            fields = _encode(decoded.fields | query)
        else:
            fields = _encode(decoded.fields) if decoded.text is None else decoded.text
    elif method in _MUST_SAY and announces_json(content_type):
        raise BadRequest(400, "JSON is malformed: the body is empty (byte 0)")
    else:
        fields = _encode(query) if query else b"{}"
    return payload.encode(
        Arguments(
            api=api,
            module=module,
            uuid=uuid,
            fields=fields,
            parameters=named,
            files=files,
            body=content,
            request=request.encode() if request is not None else None,
        )
    )


def _rename(named: list[tuple[str, str]], raw: msgspec.Raw, parameter_names: Sequence[str]) -> list[tuple[str, str]]:
    """The URL parameters under the names that `__map__` gives them. A new name is not that of another URL
    parameter, whether that is renamed or not, so that no order of renaming matters."""
    new_names: dict[str, str] = {}
    for name, value in _map_entries(raw, len(parameter_names)).items():
        if name not in parameter_names:
            raise field_problem(400, MAP, f"{name[:64]!r} is not the name of a URL parameter")
        try:
            # Cut to a length that is too long already, so that the refusal is short.
            [new_names[name]] = check_parameter_names((_string.decode(value)[:80],))
        except msgspec.DecodeError as error:
            raise field_problem(400, MAP, f"the new name of {name!r} is not a string") from error
        except ValueError as error:
            raise field_problem(400, MAP, str(error)) from error
        if new_names[name] in parameter_names:
            raise field_problem(400, MAP, f"{new_names[name]!r} is the name of a URL parameter")
    if len(set(new_names.values())) < len(new_names):
        raise field_problem(400, MAP, "two URL parameters get the same name")
    return [(new_names.get(name, name), value) for name, value in named]


def _map_entries(raw: msgspec.Raw, max_entries: int) -> dict[str, msgspec.Raw]:
    data = bytes(raw)
    if len(data) > MAX_MAP:
        raise field_problem(400, MAP, f"larger than {MAX_MAP} bytes")
    try:
        entries = decode_json(data, max_entries)
    except BadRequest as problem:
        raise field_problem(400, MAP, problem.problem) from problem
    if isinstance(entries, msgspec.Raw):
        raise field_problem(400, MAP, 'not an object of names, like {"parm_1": "p1"}')
    return entries
