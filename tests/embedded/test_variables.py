"""Environment variables of functions: a file beside the modules, followed while the platform runs."""

from __future__ import annotations

import time
from pathlib import Path

from tests.embedded.server import Embedded

SHOWN = """
import os
import expose

FOUND_AT_IMPORT = os.environ["COLOUR"]

@expose.endpoint()
def variables() -> dict[str, str]:
    return dict(os.environ)
"""
PATIENCE_SECS = 15


def until_colour(live: Embedded, colour: str) -> dict[str, str]:
    until = time.monotonic() + PATIENCE_SECS
    while True:
        answer = live.get("/variables/")
        if answer.status_code == 200 and answer.json()["response"]["variables"]["COLOUR"] == colour:
            return dict(answer.json()["response"]["variables"])
        assert time.monotonic() < until, answer.text


def test_functions_find_what_the_file_says_and_nothing_of_the_platforms(live: Embedded) -> None:
    file = Path(live.environ["ADMIN_ENV_FILE"])
    (live.plugins / "shown.py").write_text(SHOWN)
    file.write_text("COLOUR=green\n")
    found = until_colour(live, "green")
    assert not found.keys() & {"ADMIN_KEY", "ADMIN_UUID", "PLUGINS", "ADMIN_ENV_FILE"}
    file.write_text("COLOUR=blue\n")
    until_colour(live, "blue")
    file.write_text("COLOUR=red\nPYTHONPATH=/tmp\n")
    until = time.monotonic() + PATIENCE_SECS
    while "line 2: PYTHONPATH changes how programs are loaded" not in live.log:
        assert time.monotonic() < until
    assert until_colour(live, "blue")["COLOUR"] == "blue"


def test_a_wrong_file_stops_the_start_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    server = Embedded(tmp_path / "plugins", tmp_path / "data")
    file = Path(server.environ["ADMIN_ENV_FILE"])
    file.write_text("MONGO_URI=mongodb://somewhere\n")
    server.launch()
    status = server.process.wait(30)
    server.stop()
    assert status == 78
    assert f"plugbay: {file}, line 1: MONGO_URI is Plugbay's own: take another name\n" in server.log
