"""Runs the commands that the README shows, as a reader at a terminal would, against a running platform."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.embedded.server import Embedded

SHOWN = "http://127.0.0.1:8080"
"""Where the README's server listens."""

_ANNOUNCE = 'curl() { printf "curl\\0"; printf "%s\\0" "$@"; }\n'
"""Makes a shell tell what it would give to curl, so that quoting is tested and curl need not be there."""


class Terminal:
    """A shell in a folder with `plugins/` and `./plugbay`."""

    def __init__(self, server: Embedded, folder: Path) -> None:
        self._server = server
        self._folder = folder
        port = str(urlsplit(server.url).port)
        self._environ = {**os.environ, **server.environ, "GATEWAY_PORT": port, "PYTHONUTF8": "1"}
        tool = folder / "plugbay"
        tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m cli "$@"\n')
        tool.chmod(0o755)

    def run(self, line: str) -> str:
        """What the command prints, with the server where the README has it."""
        if line == "./runserver.sh":
            return self._as_shown(self._server.banner)
        script = _ANNOUNCE + line.replace(SHOWN, self._server.url)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        output = done.stdout
        if output.startswith("curl\0"):
            output = self._curl(output.split("\0")[1:-1])
        return self._as_shown(output)

    def _as_shown(self, output: str) -> str:
        lines = output.replace(self._server.url, SHOWN).splitlines()
        return "\n".join(line.rstrip() for line in lines).rstrip()

    def _curl(self, words: list[str]) -> str:
        """As curl does it, with as many of its options as the README uses."""
        given: dict[str, list[str]] = {"-i": [], "-X": [], "-H": [], "-d": [], "-F": [], "": []}
        rest = iter(words)
        for word in rest:
            option = word if word.startswith("-") else ""
            given[option].append(word if option in ("", "-i") else next(rest))
        headers = dict(header.split(": ", 1) for header in given["-H"])
        files = {}
        for field in given["-F"]:
            name, _, path = field.partition("=@")
            files[name] = (Path(path).name, (self._folder / path).read_bytes(), "application/octet-stream")
        if given["-d"]:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        method = given["-X"][0] if given["-X"] else "POST" if given["-d"] or files else "GET"
        content = given["-d"][0].encode() if given["-d"] else None
        [url] = given[""]
        response = httpx.request(method, url, headers=headers, content=content, files=files or None, timeout=30)
        head = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
        head += [f"{name}: {value}" for name, value in response.headers.multi_items()]
        return "\n".join([*head, "", response.text]) if given["-i"] else response.text


def fits(output: str, shown: str) -> bool:
    """Whether this is the output shown, where `…` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in shown.split("…"))
    return re.fullmatch(pattern, output, re.DOTALL) is not None
