"""`plugbay usage`: what is asked, and what people and programs read."""

from __future__ import annotations

import json

from tests.cli.conftest import FakePlugbay, Tool

UUID = "0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1"
DAY = {
    "day": "2026-01-31",
    "calls": 12,
    "errors": 2,
    "refused": 3,
    "cold_starts": 1,
    "run_seconds": 4.25,
    "cpu_seconds": 1.5,
    "bytes_in": 100,
    "bytes_out": 200,
}


def test_each_day_is_a_row(plugbay: FakePlugbay, tool: Tool) -> None:
    plugbay.answers_json("GET", f"/api/tenants/{UUID}/usage", {"days": [DAY]})
    shown = tool("usage", UUID, "--days", "7")
    assert shown.exit_code == 0
    assert plugbay.last.target.endswith("/usage?days=7")
    assert shown.stdout.splitlines()[1].split() == [
        "2026-01-31",
        "12",
        "2",
        "3",
        "1",
        "4.2",
        "s",
        "1.5",
        "s",
        "100",
        "200",
    ]
    assert json.loads(tool("usage", UUID, "--json").stdout) == {"days": [DAY]}
