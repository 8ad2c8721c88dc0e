"""Given settings that the platform cannot start with, when it is started, then one line names them and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedded.first_start import generate_secrets
from settings import BadSettings, load
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


def test_a_log_in_a_folder_that_is_not_there(plugins: Path, tmp_path: Path) -> None:
    assert refusal(plugins, tmp_path, LOG_FILE=f"{tmp_path}/no/log") == (
        78,
        f"plugbay: LOG_FILE: {tmp_path}/no/log cannot be written: No such file or directory: name another file\n",
    )


def test_an_address_of_another_machine(plugins: Path, tmp_path: Path) -> None:
    assert refusal(plugins, tmp_path, GATEWAY_HOST="203.0.113.9") == (
        78,
        "plugbay: GATEWAY_HOST: 203.0.113.9 is no address of this machine: "
        "set one of its own (127.0.0.1; 0.0.0.0 is all)\n",
    )


def test_two_url_parameters_of_one_name(plugins: Path, tmp_path: Path) -> None:
    assert refusal(plugins, tmp_path, URL_PARM1="city", URL_PARM4="city") == (
        78,
        "plugbay: URL_PARM1 and URL_PARM4 have the same name, 'city': give one another\n",
    )


def test_a_sign_in_that_no_proxy_tells_of(plugins: Path, tmp_path: Path) -> None:
    assert refusal(plugins, tmp_path, REQUIRE_SIGN_IN="all") == (
        78,
        "plugbay: settings: REQUIRE_SIGN_IN takes a proxy that says who is signed in: set its PROXY_SECRET\n",
    )


def test_two_collections_of_one_name(plugins: Path, tmp_path: Path) -> None:
    assert refusal(plugins, tmp_path, MONGO_ADMIN="TENANT") == (
        78,
        "plugbay: settings: MONGO_TENANT, MONGO_MODULES, MONGO_AUDIT and MONGO_ADMIN are to be four names\n",
    )


@pytest.mark.parametrize("name", [".env", ".env.local"])
def test_a_file_that_is_no_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"LOG_LEVEL=\xff\n")
    with pytest.raises(BadSettings, match=f"{name} is not UTF-8 \\(byte 10\\): save it as UTF-8"):
        generate_secrets(tmp_path, {})


def test_a_line_that_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# fine\nLOG_LEVEL=INFO\nno setting\n")
    with pytest.raises(BadSettings, match="env, line 3: write NAME=value, or # before a comment"):
        generate_secrets(tmp_path, {})


@pytest.mark.parametrize("name", [".env", ".env.local"])
def test_a_name_that_is_no_setting(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("COMPOSE_PROJECT_NAME=fine\nURL_PARM200=fine\nGATEWAY_PROT=1\n")
    with pytest.raises(BadSettings, match=f"{name}: there is no setting GATEWAY_PROT; is GATEWAY_PORT meant\\?"):
        load(tmp_path, {})


@pytest.mark.parametrize("setting", ["REDIS_URL", "KEPT_URL", "MONGO_URI"])
def test_a_setting_of_the_stack(plugins: Path, tmp_path: Path, setting: str) -> None:
    scheme = setting.partition("_")[0].lower().replace("mongo", "mongodb")
    assert refusal(plugins, tmp_path, **{setting: f"{scheme}://secret@127.0.0.1"}) == (
        78,
        f"plugbay: {setting}: this platform is one process tree without it: use ./docker-up.sh\n",
    )


def test_an_empty_variable_replaces_no_secret_that_was_made(tmp_path: Path) -> None:
    generate_secrets(tmp_path, {})
    text = (tmp_path / ".env.local").read_text()
    assert generate_secrets(tmp_path, {"ADMIN_KEY": ""}) == []
    assert (tmp_path / ".env.local").read_text() == text
