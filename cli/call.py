"""`plugbay call`: one call of a function, as any client would make it."""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlencode

import typer

from cli import installation, options
from cli.output import Output, output
from cli.problem import NO, USAGE, Problem

if TYPE_CHECKING:
    import httpx

    from cli.server import Server

_POLL_SECS: Final = 0.25
"""Seconds until it is asked again whether a call has a result."""


def call(
    path: Annotated[str, typer.Argument(help="API with its URL parameters (hello-world/1/2), or a path under /rest/.")],
    method: Annotated[
        str | None, typer.Option("-X", "--method", help="HTTP method.", show_default="GET; POST with -d or -F")
    ] = None,
    data: Annotated[
        str | None, typer.Option("-d", "--data", metavar="JSON|@FILE|-", help="Body; - reads standard input.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("-q", "--query", metavar="NAME=VALUE", help="Query parameter; may be repeated.")
    ] = None,
    form: Annotated[
        list[str] | None,
        typer.Option("-F", "--form", metavar="FIELD=@FILE|VALUE", help="Field of a multipart form; may be repeated."),
    ] = None,
    later: Annotated[
        bool, typer.Option("--async", help="Have it run by itself, and print where its result will be.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="The same, but print the result once it is there.")] = False,
    tenant: options.Tenant = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Call a function and print what it answers.

    Where calls take a token, it is made with PLUGBAY_TOKEN_KEY, or by Plugbay for who has a key of the control plane.

    The exit code is 0 when the status is below 400, else 1.
    """
    from cli.server import Server

    with output(as_json) as out:
        if data is not None and form:
            raise Problem("A call has one body: give -d or -F, not both", USAGE)
        server = Server(installation.load(), url)
        content = _json_body(data) if data is not None else _form_body(form) if form else {}
        if later or wait:
            content["headers"] = content.get("headers", {}) | {"Prefer": "respond-async"}
        sent = target(path, tenant, query or [])
        method = method.upper() if method else "POST" if {"content", "files"} & content.keys() else "GET"
        response = server.send(method, sent, **content)
        if response.status_code == 202 and wait:
            response = _result(server, response, sent)
        if response.status_code == 202 and later and not as_json:
            out.line(response.headers["location"])
            return
        _show(response, out)
        if response.is_error:
            raise typer.Exit(NO)


def _result(server: Server, accepted: httpx.Response, sent: str) -> httpx.Response:
    """The answer of a call that was accepted, once there is one."""
    where, response = accepted.headers["location"], accepted
    while response.status_code == 202:
        time.sleep(_POLL_SECS)
        response = server.send("GET", where, like=sent)
    return response


def target(path: str, tenant: str | None, query: Sequence[str]) -> str:
    """Path and query of a call, the path exactly as given: Plugbay decides on what was sent, not on a tidier form."""
    path, _, given = path.partition("?")
    if path.lstrip("/").startswith("rest/"):
        if tenant:
            raise Problem("--tenant goes with an API, not with a whole path under /rest/", USAGE)
        whole = "/" + path.lstrip("/")
    else:
        whole = "/rest/services/" + (f"{tenant}/" if tenant else "") + path.lstrip("/")
    pairs = [_pair(text, "-q") for text in query]
    parts = [part for part in (given, urlencode(pairs)) if part]
    return whole + ("?" + "&".join(parts) if parts else "")


def _json_body(data: str) -> dict[str, Any]:
    """What to send for `-d`: JSON, unless a file's name says it holds something else."""
    media_type = "application/json"
    if data == "-":
        content = sys.stdin.buffer.read()
    elif data.startswith("@"):
        content = _read(data[1:])
        media_type = mimetypes.guess_type(data[1:])[0] or media_type
    else:
        content = data.encode()
    return {"content": content, "headers": {"Content-Type": media_type}}


def _form_body(form: Sequence[str]) -> dict[str, Any]:
    """What to send for `-F`: every field as a part, so that the form is multipart without files too."""
    parts: list[tuple[str, tuple[str | None, bytes] | tuple[str, bytes, str]]] = []
    for text in form:
        name, value = _pair(text, "-F")
        if value.startswith("@"):
            media_type = mimetypes.guess_type(value[1:])[0] or "application/octet-stream"
            parts.append((name, (Path(value[1:]).name, _read(value[1:]), media_type)))
        else:
            parts.append((name, (None, value.encode())))
    return {"files": parts}


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Problem(f"{option} {text}: write it as NAME=VALUE", USAGE)
    return name, value


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Problem(f"{name} cannot be read: {error.strerror}", USAGE) from error


def _show(response: httpx.Response, out: Output) -> None:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = _decoded(response, media_type)
    call_id = response.headers.get("x-call-id")
    if out.as_json:
        shown = {"base64": base64.b64encode(body).decode()} if isinstance(body, bytes) else body
        headers = dict(response.headers)
        out.document({"status": response.status_code, "call": call_id, "headers": headers, "body": shown})
        return
    timing = re.search(r"\brun;[^,]*dur=([\d.]+)", response.headers.get("server-timing", ""))
    facts = [f"{response.status_code} {response.reason_phrase}", f"call {call_id}" if call_id else ""]
    facts.append(f"ran {timing[1]} ms" if timing else "")
    out.note(" · ".join(fact for fact in facts if fact))
    if isinstance(body, bytes):
        _show_bytes(body, media_type, out)
    elif media_type.startswith("text/") or not response.content:
        out.line(body)
    else:
        out.pretty(body)
    if call_id and response.status_code >= 500:
        out.note(f"What it printed: plugbay logs --call {call_id}")


def _decoded(response: httpx.Response, media_type: str) -> Any:
    """The body as JSON value or text where it is one, else as bytes."""
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return json.loads(response.content)
        except ValueError:
            return response.content
    if media_type.startswith("text/") or not response.content:
        return response.text
    return response.content


def _show_bytes(body: bytes, media_type: str, out: Output) -> None:
    """Bytes go to files and pipes as they are, never to a terminal."""
    if out.console.is_terminal:
        out.note(f"{len(body)} bytes of {media_type or 'unknown type'}: redirect the output to keep them")
    else:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
