"""What is kept from one start to the next, and what is done again."""

import sqlite3

import msgspec
import pytest

from calls import bundle as bundles
from calls.call import Outcome, Reply
from store.contract import Module
from tests.catalogue.conftest import ADMIN, TENANT, Installation, source
from tests.waiting import until


async def restart(installation: Installation) -> None:
    await installation.stop()
    await installation.start()
    await installation.catalogue.wait_ready()


async def first_start(installation: Installation, **files: str) -> None:
    for name, text in files.items():
        installation.save(f"{name}.py", text)
    await installation.start()
    await installation.catalogue.wait_ready()


async def test_what_is_known_is_not_imported_again(installation: Installation) -> None:
    await first_start(installation, hello=source("hello", header='__alias__ = "v1"'), other=source("other"))
    revision = (await installation.store.modules(ADMIN)).revision
    await restart(installation)
    assert installation.serving() == {"hello": ["hello"], "other": ["other"]}
    assert installation.answers("v1", "hello") == "hello.hello"
    assert installation.runner.asked == []
    assert (await installation.store.modules(ADMIN)).revision == revision


async def test_what_was_good_serves_before_the_folders_are_looked_at(installation: Installation) -> None:
    await first_start(installation, hello=source("hello"))
    await installation.stop()
    await installation.start()
    assert installation.serving() == {"hello": ["hello"]}


async def test_changes_made_while_it_was_stopped_are_found(installation: Installation) -> None:
    await first_start(installation, gone=source("gone"), changed=source("old"), broken=source("good"))
    await installation.stop()
    installation.remove("gone.py")
    installation.save("changed.py", source("new"))
    installation.save("broken.py", "x = (\n")
    installation.save("fresh.py", source("fresh"))
    await installation.start()
    await installation.catalogue.wait_ready()
    assert installation.serving() == {"changed": ["new"], "broken": ["good"], "fresh": ["fresh"]}
    assert installation.problems().keys() == {"broken"}
    assert sorted(installation.runner.asked) == ["changed", "fresh"]


async def test_an_import_failure_is_not_remembered(installation: Installation) -> None:
    await first_start(installation, hello="import nothing_of_this_name\n")
    assert installation.runner.asked == ["hello"]
    await restart(installation)
    assert installation.runner.asked == ["hello"]
    assert "ModuleNotFoundError" in installation.problems()["hello"]


async def test_other_packages_mean_another_import(installation: Installation) -> None:
    await first_start(installation, hello=source("hello"))
    installation.environment = "packages-2"
    await restart(installation)
    assert installation.runner.asked == ["hello"]
    await restart(installation)
    assert installation.runner.asked == []


async def test_new_packages_are_tried_while_it_runs(installation: Installation) -> None:
    await first_start(installation, good=source("good"), bad="import nothing_of_this_name\n", torn="x = (\n")
    installation.runner.asked.clear()
    revision = (await installation.store.modules(ADMIN)).revision
    installation.environment = "packages-2"
    installation.catalogue.refresh_environment()
    await until(lambda: len(installation.changed) == 2)
    await until(lambda: set(installation.runner.asked) == {"bad", "good"})
    assert (await installation.store.modules(ADMIN)).revision == revision + 1
    assert installation.problems().keys() == {"bad", "torn"}


async def test_installing_again_tries_again_what_failed(installation: Installation) -> None:
    await first_start(installation, good=source("good"), bad="import nothing_of_this_name\n")
    installation.runner.asked.clear()
    installation.catalogue.refresh_environment()
    await until(lambda: installation.runner.asked == ["bad"])


async def test_no_runner_is_not_the_modules_fault(installation: Installation) -> None:
    installation.save("hello.py", source("hello"))
    await installation.start()
    installation.runner.refusing = Reply(call="", outcome=Outcome.UNAVAILABLE, payload=b"no runner is there")
    await installation.catalogue.wait_ready()
    assert "no runner is there" in installation.problems()["hello"]
    installation.runner.refusing = None
    await until(lambda: installation.serving() == {"hello": ["hello"]})
    assert installation.problems() == {}


@pytest.mark.parametrize("outcome", [Outcome.DIED, Outcome.TIMED_OUT])
async def test_an_import_that_ends_its_process_is_tried_once(installation: Installation, outcome: Outcome) -> None:
    installation.save("bad.py", source("bad"))
    await installation.start()
    installation.runner.refusing = Reply(call="", outcome=outcome, payload=b"exit code 3")
    await installation.catalogue.wait_ready()
    assert "exit code 3" in installation.problems()["bad"]
    installation.runner.refusing = None
    installation.save("good.py", source("good"))
    await until(lambda: installation.serving() == {"good": ["good"]})
    assert installation.runner.asked == ["bad", "good"]
    installation.save("bad.py", source("bad"))
    await until(lambda: "bad" in installation.serving())


async def test_uploaded_modules_are_left_alone(installation: Installation) -> None:
    await first_start(installation, hello=source("hello"))
    digest = await installation.store.put_bundle(bundles.pack({"up.py": source("up").encode()}))
    uploaded = Module(owner=TENANT, name="up", alias=None, digest=digest, source="upload", environment="", report=b"{}")
    await installation.store.change_modules(TENANT, [uploaded], [])
    await restart(installation)
    installation.remove("hello.py")
    await until(lambda: installation.serving() == {})
    assert (await installation.store.modules(TENANT)).modules == (uploaded,)
    assert installation.serving(TENANT) == {"up": []}


async def test_a_report_of_another_form_is_made_anew(installation: Installation) -> None:
    await first_start(installation, hello=source("hello"))
    stored = (await installation.store.modules(ADMIN)).modules[0]
    await installation.store.change_modules(ADMIN, [msgspec.structs.replace(stored, report=b'{"doc": 1}')], [])
    await restart(installation)
    assert installation.serving() == {"hello": ["hello"]}
    assert installation.runner.asked == ["hello"]


async def test_modules_of_another_admin_go_to_this_one(installation: Installation) -> None:
    await first_start(installation, hello=source("hello"))
    stored = (await installation.store.modules(ADMIN)).modules[0]
    former = "99999999-0693-48c5-a52b-fc275205c1d8"
    await installation.store.change_modules(former, [msgspec.structs.replace(stored, owner=former)], [])
    await installation.store.change_modules(ADMIN, [], ["hello"])
    await restart(installation)
    assert installation.serving() == {"hello": ["hello"]}
    await until(lambda: installation.serving(former) == {})


async def test_while_the_store_cannot_be_written_what_served_serves(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("store.sqlite_file.BUSY_SECS", 0.05)
    await first_start(installation, hello=source("hello"))
    other = sqlite3.connect(installation.data / "plugbay.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    installation.save("hello.py", source("new"))
    await until(lambda: "cannot be stored" in caplog.text)
    assert installation.serving() == {"hello": ["hello"]}
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: installation.serving() == {"hello": ["new"]})
