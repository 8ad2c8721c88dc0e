"""Functions that hand back what they were given, so that an attack sees what became of it."""

from typing import Any

import expose


@expose.endpoint(method="GET|POST|PUT|PATCH|DELETE", API="all")
def everything(*args: Any, **kwargs: Any) -> dict[str, Any]:
    kwargs.pop("__request__")
    return {"args": args, "kwargs": kwargs}


@expose.endpoint(method="GET|POST", API="name")
def name(name: str = "") -> str:
    return name


@expose.endpoint(method="GET|POST", API="request")
def request(__request__: dict[str, Any]) -> dict[str, Any]:
    return __request__


@expose.endpoint(method="POST", API="file")
def file(file: expose.File) -> dict[str, Any]:
    return {"name": file.name, "type": file.media_type, "size": len(file.content)}


@expose.endpoint(method="GET", API="large")
def large(size: int) -> expose.Response:
    return expose.Response("x" * size)


@expose.endpoint(method="POST", API="respond")
def respond(headers: list[tuple[str, str]]) -> expose.Response:
    return expose.Response("the whole body", headers=headers)


@expose.endpoint(method="POST", API="raise")
def fail(text: str) -> None:
    raise ValueError(text)
