"""Whose a module is, and what happens when nobody is, when it changes hands, and when names clash."""

import pytest

from catalogue.index import Ambiguous, NotFound
from store.contract import Role, Status, Tenant
from tests.catalogue.conftest import ADMIN, TENANT, Installation, source
from tests.waiting import until

MINE = f'__ID__ = "{TENANT}"'


async def test_a_module_of_a_tenant_is_the_tenants_alone(installation: Installation) -> None:
    installation.save("hello.py", source("hello", header=MINE))
    await installation.start()
    await installation.store.add_tenant(Tenant(uuid=TENANT))
    installation.catalogue.rescan()
    await until(lambda: installation.serving(TENANT) == {"hello": ["hello"]})
    assert installation.serving() == {}
    assert installation.answers("hello", owner=TENANT) == "hello.hello"
    assert installation.problems() == {}


async def test_the_admins_own_id_is_the_same_as_none(installation: Installation) -> None:
    installation.save("hello.py", source("hello", header=f'__ID__ = "{ADMIN}"'))
    await installation.start()
    await installation.catalogue.wait_ready()
    assert installation.serving() == {"hello": ["hello"]}


async def test_a_module_of_nobody_is_shown_to_the_admin_and_never_imported(installation: Installation) -> None:
    installation.save("hello.py", source("hello", header=MINE))
    await installation.start()
    await installation.catalogue.wait_ready()
    assert installation.catalogue.view(TENANT) is None
    assert TENANT in installation.problems()["hello"]
    view = installation.catalogue.view(ADMIN)
    assert view is not None and [one.module for one in view.problems] == ["hello"]
    with pytest.raises(NotFound):
        installation.answers("hello", "hello")
    assert installation.runner.asked == []


async def test_a_module_that_changes_hands_stops_for_the_first_owner(installation: Installation) -> None:
    installation.save("hello.py", source("hello"))
    await installation.start()
    await installation.store.add_tenant(Tenant(uuid=TENANT))
    await installation.catalogue.wait_ready()
    assert installation.serving() == {"hello": ["hello"]}
    installation.save("hello.py", source("hello", header=MINE))
    await until(lambda: installation.serving() == {})
    assert installation.serving(TENANT) == {"hello": ["hello"]}
    installation.save("hello.py", source("hello"))
    await until(lambda: installation.serving(TENANT) == {})
    assert installation.serving() == {"hello": ["hello"]}


async def test_a_module_given_to_nobody_stops(installation: Installation) -> None:
    installation.save("hello.py", source("hello"))
    await installation.start()
    await installation.catalogue.wait_ready()
    installation.save("hello.py", source("hello", header=MINE))
    await until(lambda: installation.serving() == {})
    assert TENANT in installation.problems()["hello"]


async def test_a_broken_version_of_a_tenants_module_stays_with_the_tenant(installation: Installation) -> None:
    installation.save("hello.py", source("hello", header=MINE))
    await installation.start()
    await installation.store.add_tenant(Tenant(uuid=TENANT))
    installation.catalogue.rescan()
    await until(lambda: installation.serving(TENANT))
    installation.save("hello.py", f"{MINE}\nx = (\n")
    await until(lambda: installation.problems())
    assert installation.serving(TENANT) == {"hello": ["hello"]}
    tenants, admins = installation.catalogue.view(TENANT), installation.catalogue.view(ADMIN)
    assert tenants is not None and tenants.modules["hello"].problem is not None
    assert admins is not None and not admins.modules and not admins.problems


async def test_a_broken_version_that_names_a_new_owner_leaves_the_old_one_served(installation: Installation) -> None:
    installation.save("hello.py", source("hello"))
    await installation.start()
    await installation.store.add_tenant(Tenant(uuid=TENANT))
    await installation.catalogue.wait_ready()
    installation.save("hello.py", f"{MINE}\nraise ValueError\n")
    await until(lambda: installation.problems())
    assert installation.serving() == {"hello": ["hello"]}
    assert installation.serving(TENANT) == {}


async def test_an_alias_of_two_modules_is_a_problem_that_names_both(installation: Installation) -> None:
    for name in ("one", "two"):
        installation.save(f"{name}.py", source(name, header='__alias__ = "v1"'))
    await installation.start()
    await installation.catalogue.wait_ready()
    assert installation.problems().keys() == {"one"}
    assert "v1" in installation.problems()["one"] and "two" in installation.problems()["one"]
    with pytest.raises(Ambiguous):
        installation.answers("v1", "one")
    installation.save("two.py", source("two", header='__alias__ = "v2"'))
    await until(lambda: not installation.problems())
    assert installation.answers("v1", "one") == "one.one"


async def test_an_alias_that_is_the_name_of_a_module_is_a_problem(installation: Installation) -> None:
    installation.save("one.py", source("one", header='__alias__ = "two"'))
    installation.save("two.py", source("two"))
    await installation.start()
    await installation.catalogue.wait_ready()
    assert "two" in installation.problems()["one"]
    assert installation.answers("two", "two") == "two.two"


async def test_a_module_of_a_further_admin_is_its_own_and_is_tried_with_the_packages(
    installation: Installation,
) -> None:
    installation.save("hello.py", source("hello", header=MINE))
    await installation.start()
    await installation.store.add_tenant(Tenant(uuid=TENANT, plan="", role=Role.ADMIN))
    installation.catalogue.follow(TENANT)
    await until(lambda: installation.serving(TENANT) == {"hello": ["hello"]})
    assert installation.serving() == {}
    [module] = (await installation.store.modules(TENANT)).modules
    assert module.environment == "packages-1"
    installation.runner.asked.clear()
    installation.environment = "packages-2"
    installation.catalogue.refresh_environment()
    await until(lambda: installation.runner.asked == ["hello"])


async def test_modules_of_a_further_admin_that_is_disabled_are_not_tried(installation: Installation) -> None:
    await installation.start()
    await installation.store.add_tenant(Tenant(uuid=TENANT, role=Role.ADMIN, status=Status.DISABLED))
    ended: list[str] = []
    installation.catalogue.on_stop.append(ended.append)
    installation.catalogue.follow(TENANT)
    installation.save("hello.py", source("hello", header=MINE))
    await until(lambda: installation.problems())
    assert installation.problems() == {"hello": f"admin {TENANT} is disabled"}
    assert installation.runner.asked == []
    await until(lambda: ended == [TENANT])
