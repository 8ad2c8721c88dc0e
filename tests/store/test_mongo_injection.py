"""Nothing that a caller says becomes an operator or the name of a field (security: G6, G7, E12)."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pymongo import monitoring

from store.audit import Entry, new_id
from store.contract import Conflict, Module, Status, Tenant, TenantChange
from store.mongo.store import MongoStore
from tests.store.mongo_stores import Stores
from tests.store.test_contract import HOSTILE, kept

TEXTS = [*HOSTILE, '{"$ne": null}', "$set", "__proto__", "a:b*c?d\ne", "MODULES.sets", "0", "\\u0000"]
NO_TEXTS = [{"$ne": None}, {"$gt": ""}, {"$regex": ".*"}, {"$where": "sleep(5000)"}, ["a"], 1, True, None, b"a"]


class CommandLog(monitoring.CommandListener):
    """What is sent to the server while `on`, without what watching for changes asks."""

    def __init__(self) -> None:
        self.on = False
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        asked = event.command.get("filter") or {}
        if self.on and event.command_name not in ("hello", "getMore", "aggregate") and "changed" not in asked:
            self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Not of interest."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Not of interest."""


log = CommandLog()
monitoring.register(log)


@contextlib.contextmanager
def commands() -> Iterator[list[dict[str, Any]]]:
    """The commands that are sent meanwhile."""
    log.commands = []
    log.on = True
    yield log.commands
    log.on = False


def shape(value: object) -> object:
    """Names of fields and operators as they are, and of everything else what type it has."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if name not in ("lsid", "$clusterTime", "maxTimeMS")}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return type(value).__name__


async def everything(store: MongoStore, text: str) -> None:
    """Every method, with this wherever a text goes."""
    await store.add_tenant(Tenant(uuid=text, name=f"a{text}", plan=text, key=text))
    with pytest.raises(Conflict):
        await store.add_tenant(Tenant(uuid=text))
    await store.add_tenant(Tenant(uuid=f"{text}!"))
    with pytest.raises(Conflict):
        await store.change_tenant(f"{text}!", TenantChange(name=f"a{text}"))
    found = await store.find_tenants(f"a{text}", "", 9)
    assert [tenant.uuid for tenant in found] == ([text] if text else [])  # nothing comes behind itself
    assert await store.remove_tenant(f"{text}!")
    assert await store.find_tenants(text, text, 9) == []
    await store.change_tenant(text, TenantChange(name=f"b{text}", plan="p", key="k"))
    assert await store.change_tenant(text, TenantChange(status=Status.DISABLED))
    known = Tenant(uuid=text, name=f"b{text}", plan="p", status=Status.DISABLED, key="k")
    assert await store.tenant(text) == known
    assert not await store.change_tenant(f"{text}?", TenantChange(status=Status.DISABLED))
    assert await store.tenant(f"{text}?") is None
    plain = await kept(store, "m")
    odd = Module(
        owner=text, name=text, alias=text, digest=plain.digest, source=text, environment=text, report=text.encode()
    )
    with pytest.raises(ValueError, match="was not kept"):
        unkept = Module(owner=text, name="u", alias=None, digest=text, source="", environment="", report=b"")
        await store.change_modules(text, [unkept], [])
    assert (await store.change_modules(text, [odd], [])).modules == (odd,)
    assert await store.owners() == [text]
    assert (await store.modules(f"{text}?")).modules == ()
    assert await store.bundle(text) is None
    await store.put_setting(text, text)
    assert await store.setting(text) == text
    assert await store.settings() == {text: text}
    await store.put_setting(text, None)
    entry = Entry(id=new_id(1.0), who=text, what=text, address=text, tenant=f"t{text}", about=((text, text),))
    await store.audit.add([entry])
    assert await store.audit.find(f"t{text}", text, f"g{text}", 9) == [entry]
    assert await store.audit.find(f"t{text}?", text, f"g{text}", 9) == []
    await store.audit.trim(f"{text}?", 0)
    await store.audit.trim(text, 1)
    assert (await store.change_modules(text, [], [text])).modules == ()


@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_what_is_sent_has_the_same_form_whatever_a_text_says(stores: Stores) -> None:
    forms = []
    for number, text in enumerate(["plain", *TEXTS]):
        one = Stores(stores.uri, f"{stores.database}-{number}")
        async with one.stack:
            store = await one.open()
            with commands() as sent:
                await everything(store, text)
            forms.append([shape(command) for command in sent])
            again = await one.open()
            assert [(tenant.uuid, tenant.status) for tenant in await again.tenants()] == [(text, Status.DISABLED)]
    assert len(forms[0]) > 15
    assert [form for form in forms if form != forms[0]] == []


def calls(store: MongoStore, value: Any, digest: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every place for a text, with something else in it."""

    def module(**fields: Any) -> Module:
        good = {"owner": "o", "name": "n", "alias": None, "digest": digest, "source": "s", "environment": "e"}
        return Module(**{**good, "report": b"{}", **fields})

    found: dict[str, Callable[[], Awaitable[object]]] = {
        "tenant": lambda: store.tenant(value),
        "add_tenant uuid": lambda: store.add_tenant(Tenant(uuid=value)),
        "add_tenant status": lambda: store.add_tenant(Tenant(uuid="u", status=value)),
        "change_tenant uuid": lambda: store.change_tenant(value, TenantChange(status=Status.ENABLED)),
        "remove_tenant": lambda: store.remove_tenant(value),
        "find_tenants text": lambda: store.find_tenants(value, "", 1),
        "find_tenants after": lambda: store.find_tenants("", value, 1),
        "modules": lambda: store.modules(value),
        "bundle": lambda: store.bundle(value),
        "change_modules owner": lambda: store.change_modules(value, [], []),
        "setting": lambda: store.setting(value),
        "put_setting name": lambda: store.put_setting(value, "v"),
    }
    found |= {
        "audit find tenant": lambda: store.audit.find(value, "", "", 1),
        "audit find what": lambda: store.audit.find("", value, "", 1),
        "audit find before": lambda: store.audit.find("", "", value, 1),
        "audit trim": lambda: store.audit.trim(value, 1),
    }
    for field in ("id", "who", "what", "address", "tenant"):
        entry: dict[str, Any] = {"id": new_id(1.0), "who": "w", "what": "w", "address": "a", "tenant": "t"}
        entry[field] = value
        found[f"audit add {field}"] = lambda entry=entry: store.audit.add([Entry(**entry)])  # type: ignore[misc]
    odd = Entry(id=new_id(1.0), who="w", what="w", address="a", about=(("name", value),))
    found["audit add about"] = lambda: store.audit.add([odd])
    if value is not None:
        found["put_setting value"] = lambda: store.put_setting("n", value)
        found["module alias"] = lambda: store.change_modules("o", [module(alias=value)], [])
    for field in ("name", "plan", "key"):
        tenant, change = {"uuid": "u", field: value}, {field: value}
        found[f"add_tenant {field}"] = lambda tenant=tenant: store.add_tenant(Tenant(**tenant))  # type: ignore[misc]
        if value is not None:
            found[f"change_tenant {field}"] = lambda change=change: store.change_tenant("u", TenantChange(**change))  # type: ignore[misc]
    for field in ("name", "digest", "source", "environment"):
        found[f"module {field}"] = lambda field=field: store.change_modules("o", [module(**{field: value})], [])  # type: ignore[misc]
    return found


@pytest.mark.parametrize("value", NO_TEXTS, ids=repr)
@pytest.mark.parametrize("stores", ["standalone"], indirect=True)
async def test_what_is_no_text_is_refused_before_anything_is_sent(stores: Stores, value: object) -> None:
    store = await stores.open()
    digest = await store.put_bundle(b"bundle")
    with commands() as sent:
        for place, call in calls(store, value, digest).items():
            with pytest.raises((TypeError, ValueError)):
                await call()
                pytest.fail(f"{place} took {value!r}")
    assert sent == []
