"""`plugbay modules`, `versions`, `rollback` and `pull`: a tenant's modules, and what they were before."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from cli import installation, options, packing
from cli.output import Output, output
from cli.problem import Problem

MAX_DIFF_BYTES: Final = 256 * 1024
"""A larger file is only said to differ: comparing lines takes time that grows faster than they do."""
MAX_DIFF_LINES: Final = 5000
"""Lines of a difference that are shown."""

Tenant = Annotated[str, typer.Option("--tenant", help="UUID of the tenant.")]
Name = Annotated[str, typer.Argument(metavar="MODULE", help="Name of the module.")]


def modules(tenant: Tenant, url: options.Url = None, as_json: options.Json = False) -> None:
    """List a tenant's modules."""
    from cli.answers import Modules, read

    with output(as_json) as out:
        found: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            params: dict[str, str | int] = {"limit": 500} | ({"cursor": cursor} if cursor else {})
            answer = _control(url, "GET", tenant, params=params)
            found += answer["modules"]
            cursor = answer["next"]
        if out.as_json:
            out.document({"modules": found})
            return
        rows = [
            (one.name, one.source, str(one.endpoints), one.problem.text if one.problem else "")
            for one in read({"modules": found}, Modules).modules
        ]
        out.table(("MODULE", "SOURCE", "ENDPOINTS", "PROBLEM"), rows)


def versions(
    name: Name,
    tenant: Tenant,
    old: Annotated[int | None, typer.Argument(help="Show what changed since this version.")] = None,
    new: Annotated[int | None, typer.Argument(help="Up to this one.", show_default="the one that serves")] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """List the versions of an uploaded module that are kept, or show the difference between two of them."""
    from cli.answers import Versions, read

    with output(as_json) as out:
        answer = _control(url, "GET", tenant, name, "versions")
        found = read(answer, Versions).versions
        if old is not None:
            serving = next((one.number for one in found if one.serves), None)
            if new is None and serving is None:
                raise Problem(f"None of the versions of {name} serves: name two")
            pair = [_files(url, tenant, name, number or serving or 0) for number in (old, new)]
            _show_difference(list(_difference(*pair)), out)
        elif out.as_json:
            out.document(answer)
        else:
            rows = [
                (str(one.number), _time(one.created), one.signed_by or "–", "serves" if one.serves else "")
                for one in found
            ]
            out.table(("VERSION", "UPLOADED", "SIGNED BY", ""), rows)


def rollback(
    name: Name,
    tenant: Tenant,
    version: Annotated[
        int | None, typer.Argument(help="Number of the version.", show_default="the one before the one that serves")
    ] = None,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Have an earlier version of a module serve again. No call fails meanwhile."""
    from cli.answers import Versions, read

    with output(as_json) as out:
        if version is None:
            found = read(_control(url, "GET", tenant, name, "versions"), Versions).versions
            serving = next((at for at, one in enumerate(found) if one.serves), 0)
            if not serving:
                raise Problem(f"There is no version of {name} before the one that serves")
            version = found[serving - 1].number
        answer = _control(url, "POST", tenant, name, "rollback", body={"version": version})
        if out.as_json:
            out.document(answer)
        else:
            out.line(f"{name} serves as version {version}.")


def pull(
    name: Name,
    tenant: Tenant,
    version: Annotated[int | None, typer.Option(help="Which version.", show_default="the one that serves")] = None,
    to: Annotated[Path, typer.Option(help="Folder to write into.")] = Path(),
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Write the files of an uploaded module. Nothing is written over what is there."""
    from cli.answers import Versions, read

    with output(as_json) as out:
        if version is None:
            found = read(_control(url, "GET", tenant, name, "versions"), Versions).versions
            version = next((one.number for one in found if one.serves), None)
            if version is None:
                raise Problem(f"None of the versions of {name} serves: name one (--version)")
        data = _data(url, tenant, name, version)
        is_package = data.startswith(b"PK")
        written = packing.unpack(data, name, to) if is_package else [packing.write(to / f"{name}.py", data)]
        if out.as_json:
            out.document({"version": version, "files": [str(path) for path in written]})
        else:
            for path in written:
                out.line(str(path))


def _difference(old: dict[str, bytes], new: dict[str, bytes]) -> Iterator[str]:
    """Lines of a unified difference; of files that are no text, or too large, only that they differ."""
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path, b""), new.get(path, b"")
        if before == after and path in old and path in new:
            continue
        names = (path if path in old else "/dev/null", path if path in new else "/dev/null")
        texts = _lines(before), _lines(after)
        if texts[0] is None or texts[1] is None:
            yield f"{names[0]} and {names[1]} differ"
        else:
            yield from difflib.unified_diff(texts[0], texts[1], *names, lineterm="")


def _lines(content: bytes) -> list[str] | None:
    """The lines of a text that is not too large; None of anything else."""
    if len(content) > MAX_DIFF_BYTES or b"\0" in content:
        return None
    try:
        return content.decode().splitlines()
    except UnicodeDecodeError:
        return None


def _show_difference(lines: list[str], out: Output) -> None:
    shown = lines[:MAX_DIFF_LINES]
    if out.as_json:
        out.document({"difference": shown, "left_out": len(lines) - len(shown)})
        return
    for line in shown:
        out.line(line, style={"+": "green", "-": "red", "@": "cyan"}.get(line[:1], ""))
    if len(lines) > len(shown):
        out.note(f"{len(lines) - len(shown)} more lines")


def _files(url: str | None, tenant: str, name: str, number: int) -> dict[str, bytes]:
    data = _data(url, tenant, name, number)
    return packing.files(data, name) if data.startswith(b"PK") else {f"{name}.py": data}


def _path(tenant: str, *parts: str) -> str:
    return "/".join(("/api/tenants", *(quote(part, safe="") for part in (tenant, "modules", *parts))))


def _control(url: str | None, method: str, tenant: str, *parts: str, **sent: Any) -> Any:
    from cli.server import Server

    return Server(installation.load(), url).control(method, _path(tenant, *parts), **sent)


def _data(url: str | None, tenant: str, name: str, number: int) -> bytes:
    from cli.server import Server

    return Server(installation.load(), url).content(_path(tenant, name, "versions", str(number)))


def _time(created: float) -> str:
    return datetime.fromtimestamp(created).astimezone().strftime("%Y-%m-%d %H:%M:%S") if created else "?"
