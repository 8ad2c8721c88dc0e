"""Given a store with changes of an earlier run, when the platform starts, then they hold as far as they still can."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.runtime_settings import STORE_KEY, TOKENS_KEY, BadChange, RuntimeSettings
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


async def test_which_calls_take_tokens_outlives_a_restart_and_goes_back(store: SqliteStore) -> None:
    runtime = await started(store)
    await runtime.change({"REQUIRE_TOKENS": "tenants", "URL_PARM1": "town"})
    assert (await started(store)).require_tokens == "tenants"
    await runtime.change({"REQUIRE_TOKENS": None})
    assert (await started(store)).require_tokens == "none"
    assert (await started(store, REQUIRE_TOKENS="all")).require_tokens == "all"
    assert (await started(store)).url_parameters[0] == "town"


async def test_tokens_stay_required_whatever_else_is_wrong(store: SqliteStore) -> None:
    """A change of parameters that is left out takes no other with it, and what is not understood is the strictest."""
    await store.put_setting(TOKENS_KEY, "tenants")
    await store.put_setting(STORE_KEY, "{")
    assert (await started(store)).require_tokens == "tenants"
    for kept in ("", "nobody", "NONE", "{"):
        await store.put_setting(TOKENS_KEY, kept)
        assert (await started(store)).require_tokens == "all"


async def test_a_value_that_is_none_changes_nothing(store: SqliteStore) -> None:
    runtime = await started(store)
    for value in ("some", "", 1):
        with pytest.raises(BadChange, match="REQUIRE_TOKENS: must be one of none, tenants, all"):
            await runtime.change({"URL_PARM1": "town", "REQUIRE_TOKENS": value})
    assert runtime.require_tokens == "none"
    assert (await started(store)).url_parameters[0] == "city"


async def test_who_has_more_calls_take_tokens_waits_until_all_know(store: SqliteStore) -> None:
    """Nothing else waits."""
    runtime = RuntimeSettings(settings(), store, told_secs=3600)
    for change in ({"REQUIRE_TOKENS": "none"}, {"URL_PARM1": "town"}):
        await runtime.change(change)
    stricter = asyncio.create_task(runtime.change({"REQUIRE_TOKENS": "all"}))
    while runtime.require_tokens != "all":
        await asyncio.sleep(0)
    assert not stricter.done()
    stricter.cancel()
    await asyncio.gather(stricter, return_exceptions=True)
    await runtime.change({"REQUIRE_TOKENS": "tenants"})
