"""JSON answers of the control plane, in ASCII: no byte of a log or name reaches a terminal unescaped."""

from __future__ import annotations

import json

from starlette.responses import JSONResponse


def encode(content: object) -> bytes:
    """Compact JSON without any character outside printable ASCII."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f").encode("ascii")


class Answer(JSONResponse):
    """What every route of the control plane answers with."""

    def render(self, content: object) -> bytes:
        """The body."""
        return encode(content)
