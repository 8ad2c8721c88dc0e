"""`plugbay new`: a module to begin with, in the plugin folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from catalogue import names
from cli import installation, options
from cli.address import listening
from cli.installation import Installation
from cli.output import output
from cli.problem import NO, USAGE, Problem

_MODULE = '''\
"""@NAME@: say here what this module is for; it is shown where endpoints are listed."""

from vyperlogix.decorators import expose


@expose.endpoint(method="GET|POST", API="hello")
def hello(name: str = "world") -> dict[str, str]:
    """Greets someone: GET @PATH@?name=Ada"""
    return {"greeting": f"Hello, {name}!"}
'''

_PACKAGE = '''\
"""@NAME@: say here what this module is for; it is shown where endpoints are listed."""

from vyperlogix.decorators import expose

from .greetings import greet


@expose.endpoint(method="GET|POST", API="hello")
def hello(name: str = "world") -> dict[str, str]:
    """Greets someone: GET @PATH@?name=Ada"""
    return {"greeting": greet(name)}
'''

_PART = '''\
"""A part of the package: what stands here is imported by its `__init__.py`, not exposed."""


def greet(name: str) -> str:
    """The greeting for one person."""
    return f"Hello, {name}!"
'''


def new(
    name: Annotated[str, typer.Argument(help="Name of the module.")],
    package: Annotated[
        bool, typer.Option("--package", help="A folder with several files instead of one file.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Write a module to begin with into the plugin folder."""
    with output(as_json) as out:
        _check(name)
        here = installation.load()
        folder = _folder(here, name)
        path = f"/rest/services/{name}/hello/"
        if package:
            contents = {folder / name / "greetings.py": _PART, folder / name / "__init__.py": _PACKAGE}
        else:
            contents = {folder / f"{name}.py": _MODULE}
        for file, text in contents.items():
            _write(file, text.replace("@NAME@", name).replace("@PATH@", path))
        curl = f"curl '{listening(here)}{path}?name=Ada'"
        if out.as_json:
            out.document({"module": name, "files": [str(file) for file in contents], "path": path})
            return
        for file in contents:
            out.line(f"Wrote {file}")
        out.line(f"It serves within a second of being saved, while Plugbay runs:\n  {curl}")


def _check(name: str) -> None:
    if problem := names.flaw(name):
        suggestion = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        hint = f"; {suggestion} would do" if suggestion != name and not names.flaw(suggestion) else ""
        raise Problem(f"{name}: {problem}{hint}", USAGE)


def _folder(here: Installation, name: str) -> Path:
    """The first plugin folder, made when it does not exist; no folder may have the module already."""
    for folder in here.plugins:
        for there in (folder / f"{name}.py", folder / name):
            if there.exists() or there.is_symlink():
                raise Problem(f"There is a module {name} already: {there}", NO)
    return here.plugins[0]


def _write(file: Path, text: str) -> None:
    """Writes a new file under another name first, so that nothing half-written is served."""
    draft = file.with_name(f".{file.name}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.rename(file)
    except OSError as error:
        raise Problem(f"{file} cannot be written: {error.strerror}", NO) from error
