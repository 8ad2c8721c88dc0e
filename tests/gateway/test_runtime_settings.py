"""Given a store with changes of an earlier run, when the platform starts, then they hold as far as they still can."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.runtime_settings import STORE_KEY, BadChange, RuntimeSettings
from store.sqlite import SqliteStore
from tests.gateway.control_server import settings


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield store
    await store.close()


async def started(store: SqliteStore, **changed: Any) -> RuntimeSettings:
    """The run-time settings of a fresh process."""
    runtime = RuntimeSettings(settings(**changed), store)
    await runtime.load()
    return runtime


async def test_nothing_was_changed(store: SqliteStore) -> None:
    assert (await started(store)).url_parameters == ("city", "street", "parm_3")


async def test_a_name_waits_for_its_parameter(store: SqliteStore) -> None:
    runtime = await started(store)
    await runtime.change({"URL_PARM5": "door"})
    assert (await started(store)).url_parameters == ("city", "street", "parm_3")
    assert [one.name for one in runtime.view()][-1] == "URL_PARM5"
    await runtime.change({"NUM_URL_PARMS": 5})
    assert runtime.url_parameters == ("city", "street", "parm_3", "parm_4", "door")


async def test_names_can_be_swapped(store: SqliteStore) -> None:
    runtime = await started(store)
    await runtime.change({"URL_PARM1": "street", "URL_PARM2": "city"})
    assert runtime.url_parameters == ("street", "city", "parm_3")


async def test_no_parameters_and_many(store: SqliteStore) -> None:
    runtime = await started(store)
    await runtime.change({"NUM_URL_PARMS": 0})
    assert (await started(store)).url_parameters == ()
    await runtime.change({"NUM_URL_PARMS": 100})
    assert (await started(store)).url_parameters[-1] == "parm_100"


async def test_everything_taken_back_is_forgotten(store: SqliteStore) -> None:
    runtime = await started(store)
    await runtime.change({"URL_PARM1": "town"})
    await runtime.change({"URL_PARM1": None})
    assert await store.setting(STORE_KEY) is None


async def test_a_refused_change_is_not_kept(store: SqliteStore) -> None:
    runtime = await started(store)
    for change in ({"URL_PARM1": "ok", "URL_PARM2": "ok"}, {"NUM_URL_PARMS": 101}, {"NOTHING": None}):
        with pytest.raises(BadChange):
            await runtime.change(change)
    assert await store.setting(STORE_KEY) is None
    assert runtime.url_parameters == ("city", "street", "parm_3")


@pytest.mark.parametrize(
    "kept", ['{"URL_PARM1": "street"}', '{"NUM_URL_PARMS": 500}', '{"X": 1}', "[]", "{", '{"URL_PARM1": null}']
)
async def test_a_change_that_does_not_go_with_env_any_more(
    store: SqliteStore, kept: str, caplog: pytest.LogCaptureFixture
) -> None:
    await store.put_setting(STORE_KEY, kept)
    with caplog.at_level(logging.WARNING):
        runtime = await started(store)
    assert runtime.url_parameters == ("city", "street", "parm_3")
    assert "run-time settings are as in .env" in caplog.text
    assert await store.setting(STORE_KEY) == kept
