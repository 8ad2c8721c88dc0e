"""A file as it arrives in a multipart body."""

from __future__ import annotations


class File:
    """One uploaded file; the keyword argument has the name of its form field.

        @expose.endpoint(method="POST")
        def count_lines(document: expose.File) -> int:
            return document.content.count(b"\\n")

    A parameter annotated `bytes` gets the content alone, `list[expose.File]` one or several files.
    """

    __slots__ = ("content", "media_type", "name")

    def __init__(self, name: str, media_type: str, content: bytes) -> None:
        self.name = name
        """As the client calls it: data to show, never a path to write to."""
        self.media_type = media_type
        """As the client says, for example `image/png`."""
        self.content = content

    def __repr__(self) -> str:
        return f"File({self.name!r}, {self.media_type!r}, {len(self.content)} bytes)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, File):
            return NotImplemented
        return (self.name, self.media_type, self.content) == (other.name, other.media_type, other.content)

    def __hash__(self) -> int:
        return hash((self.name, self.media_type, self.content))
