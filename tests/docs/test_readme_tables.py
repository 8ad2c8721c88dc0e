"""The README's tables say what the code says."""

from __future__ import annotations

import re

import typer.main

import settings
from cli.app import app
from gateway.outcomes import STATUS
from tests.docs.markdown import README, code, table


def test_settings() -> None:
    made = re.search(r"<!-- settings: made by .* -->\n(.*)\n<!-- settings: end -->", README, re.DOTALL)
    assert made is not None
    assert made[1] == settings.table(), "run scripts/settings-table.sh"


def test_commands() -> None:
    commands = typer.main.get_group(app).commands
    told = {code(name)[0].removeprefix("plugbay "): text for name, text in table(README, "command")}
    assert told == {name: (command.help or "").split("\n\n")[0] for name, command in commands.items()}


def test_statuses() -> None:
    told = {int(number) for _, status, _ in table(README, "what happened") for number in re.findall(r"\d+", status)}
    assert set(STATUS.values()) <= told


def test_settings_that_are_named_exist() -> None:
    others = {"PLUGBAY_URL", "PLUGBAY_KEY", "PLUGBAY_HOME"}
    named = {name for name in code(README) if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", name)} - others
    assert named
    assert named <= settings.Settings.model_fields.keys()
