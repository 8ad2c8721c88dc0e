"""A module as it travels: an ordered set of files under one content address.

Format: MessagePack array of `[path, content]` sorted by path. A single-file module holds exactly
`<name>.py`; a package holds `<name>/__init__.py` and what lies beside and below it.
"""

from __future__ import annotations

import msgspec

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


def pack(files: dict[str, bytes]) -> bytes:
    """The bundle of these files, keyed by relative POSIX path. The same files give the same bytes."""
    return _encoder.encode(sorted(files.items()))


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a bundle. Raises ValueError when it is not one."""
    try:
        return dict(_decoder.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a bundle: {type(error).__name__}") from error


def digest(data: bytes) -> str:
    """Content address of a bundle: SHA-256 in hexadecimal."""
    # Imported here: it brings OpenSSL, and workers, which never ask for a digest, would all have it in memory.
    import hashlib

    return hashlib.sha256(data).hexdigest()
