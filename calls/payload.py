"""The one encoding of arguments that only the gateway writes and only the worker reads."""

from __future__ import annotations

import msgspec


class UploadedFile(msgspec.Struct, array_like=True):
    """One file of a multipart body."""

    field: str
    name: str
    media_type: str
    content: bytes


class Arguments(msgspec.Struct, array_like=True, kw_only=True):
    """Everything a function can be given."""

    api: str
    """The API as addressed; becomes `func`."""
    module: str | None
    """The module or alias as addressed; None when the URL named none."""
    uuid: str | None
    """The owner as addressed; None when the URL named none."""
    fields: bytes
    """JSON object: body fields, then query, later ones already winning."""
    parameters: list[tuple[str, str]]
    """URL parameters in order, each with its name after `__map__`; they win over `fields`."""
    files: list[UploadedFile]
    body: bytes | None
    """A body that is neither JSON, form nor multipart; becomes `__body__`."""
    request: bytes | None
    """JSON object for `__request__`; None when the function cannot receive it."""


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Arguments).decode
