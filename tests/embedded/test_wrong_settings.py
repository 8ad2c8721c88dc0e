"""Given settings that the platform cannot start with, when it is started, then one line names them and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.server import Embedded


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


def refusal(plugins: Path, tmp_path: Path, **settings: object) -> tuple[int, str]:
    """Exit status and stderr of a start that cannot succeed."""
    server = Embedded(plugins, tmp_path / "data", **settings)
    server.launch()
    status = server.process.wait(30)
    server.stop()
    return status, server.log


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "modules").touch()
    assert refusal(tmp_path / "modules", tmp_path) == (
        78,
        f"plugbay: PLUGINS: {tmp_path}/modules is no folder: name the folder that modules are in\n",
    )


def test_an_address_of_another_machine(plugins: Path, tmp_path: Path) -> None:
    assert refusal(plugins, tmp_path, GATEWAY_HOST="203.0.113.9") == (
        78,
        "plugbay: GATEWAY_HOST: 203.0.113.9 is no address of this machine: "
        "set one of its own (127.0.0.1; 0.0.0.0 is all)\n",
    )
