"""Plugin folders that change while the platform runs: what is saved serves, what is removed stops, nothing fails between."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catalogue.index import Ambiguous, Broken, NotFound
from tests.catalogue.conftest import ADMIN, Installation, save, source
from tests.waiting import until


@contextmanager
def calling(installation: Installation, *segments: str) -> Iterator[set[str]]:
    """Calls twice in a millisecond; gives what answered, and raises what any call raised."""
    answered: set[str] = set()
    failed: list[Exception] = []
    over = False

    def call() -> None:
        if over:
            return
        try:
            answered.add(installation.answers(*segments))
        except (NotFound, Ambiguous, Broken) as error:
            failed.append(error)
        loop.call_later(0.0005, call)

    loop = asyncio.get_running_loop()
    loop.call_soon(call)
    yield answered
    over = True
    assert failed == []


def write_in_parts(path: Path, *parts: str) -> Iterator[None]:
    """Writes a file as careless programs do: emptied first, then part by part."""
    with path.open("w") as file:
        yield
        for part in parts:
            file.write(part)
            file.flush()
            yield


async def started(installation: Installation, **files: str) -> Installation:
    for name, text in files.items():
        installation.save(f"{name}.py", text)
    await installation.start()
    await installation.catalogue.wait_ready()
    return installation


async def test_modules_that_are_there_serve_when_it_is_ready(installation: Installation) -> None:
    await started(installation, hello=source("hello"), other=source("a", "b", header='__alias__ = "v1"'))
    assert installation.serving() == {"hello": ["hello"], "other": ["a", "b"]}
    assert installation.answers("v1", "b") == "other.b"
    assert installation.problems() == {}
    view = installation.catalogue.view(ADMIN)
    assert view is not None
    assert view.modules["other"].source == "other.py"


async def test_with_no_modules_it_is_ready_too(installation: Installation) -> None:
    await started(installation)
    assert installation.serving() == {}
    assert installation.catalogue.view(ADMIN) is not None
    assert installation.catalogue.view("0e3c5f3a-4a3b-4f53-9be0-30c3d0d9f2a1") is None


async def test_a_module_comes_changes_and_goes(installation: Installation) -> None:
    await started(installation)
    installation.save("hello.py", source("one"))
    await until(lambda: installation.serving() == {"hello": ["one"]})
    installation.save("hello.py", source("one", "two"))
    await until(lambda: installation.serving() == {"hello": ["one", "two"]})
    installation.remove("hello.py")
    await until(lambda: installation.serving() == {} and len(installation.changed) == 3)
    assert installation.changed == [ADMIN] * 3
    with pytest.raises(NotFound):
        installation.answers("one")


async def test_a_package_comes_changes_in_its_depth_and_goes(installation: Installation) -> None:
    await started(installation)
    package = installation.scratch / "package"
    save(package / "__init__.py", "from .inner.code import *\n")
    save(package / "inner/code.py", source("one"))
    package.rename(installation.plugins / "pack")
    await until(lambda: installation.serving() == {"pack": ["one"]})
    save(installation.plugins / "pack/inner/code.py", source("two"))
    await until(lambda: installation.serving() == {"pack": ["two"]})
    save(installation.plugins / "pack/inner/deeper/more.py", source("three"))
    save(installation.plugins / "pack/__init__.py", "from .inner.deeper.more import *\nfrom .inner.code import *\n")
    await until(lambda: installation.serving() == {"pack": ["three", "two"]})
    shutil.rmtree(installation.plugins / "pack")
    await until(lambda: installation.serving() == {})


async def test_a_package_that_was_removed_and_made_again_is_followed(installation: Installation) -> None:
    await started(installation)
    for turn in range(3):
        save(installation.plugins / "pack/__init__.py", source(f"first{turn}"))
        await until(lambda turn=turn: installation.serving() == {"pack": [f"first{turn}"]})  # type: ignore[misc]
        save(installation.plugins / "pack/__init__.py", source(f"second{turn}"))
        await until(lambda turn=turn: installation.serving() == {"pack": [f"second{turn}"]})  # type: ignore[misc]
        shutil.rmtree(installation.plugins / "pack")


async def test_a_saved_module_changes_without_a_call_failing(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    with calling(installation, "hello"):
        for turn in range(5):
            installation.save("hello.py", source("hello", f"extra{turn}"))
            await until(lambda turn=turn: installation.serving() == {"hello": [f"extra{turn}", "hello"]})  # type: ignore[misc]


@pytest.mark.parametrize("address", [("v1", "hello"), ("hello",)])
async def test_a_renamed_module_serves_on_in_one_step(installation: Installation, address: tuple[str, ...]) -> None:
    await started(installation, old=source("hello", header='__alias__ = "v1"'))
    with calling(installation, *address) as answered:
        installation.rename("old.py", "new.py")
        await until(lambda: "new.hello" in answered)
    assert answered == {"old.hello", "new.hello"}
    assert installation.serving() == {"new": ["hello"]}


async def test_an_api_moves_from_one_module_to_another_in_one_step(installation: Installation) -> None:
    await started(installation, a=source("x", "hello"), b=source("y"))
    with calling(installation, "hello") as answered:
        installation.save("a.py", source("x"))
        installation.save("b.py", source("y", "hello"))
        await until(lambda: "b.hello" in answered)
    assert answered == {"a.hello", "b.hello"}


async def test_an_editor_that_moves_the_old_file_away_first_loses_nothing(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    with calling(installation, "hello"):
        installation.rename("hello.py", "hello.py~")
        await asyncio.sleep(0)
        installation.save("hello.py", source("hello", "more"))
        await until(lambda: installation.serving() == {"hello": ["hello", "more"]})


async def test_a_file_written_in_parts_serves_when_it_is_whole(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    parts = [source("hello", f"x{number}").partition("@")[2] for number in range(3)]
    whole = "from vyperlogix.decorators import expose\n" + "".join(f"@{part}" for part in parts[:1]) + "z = 1\n"
    with calling(installation, "hello"):
        for _ in write_in_parts(installation.plugins / "hello.py", whole[:40], whole[40:80], whole[80:]):
            await asyncio.sleep(0.03)  # longer than a quiet moment, shorter than anybody would wait
        await until(lambda: installation.serving() == {"hello": ["hello", "x0"]})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = (\n", "SyntaxError: '(' was never closed, line 1"),
        ("import nothing_of_this_name\n", "ModuleNotFoundError"),
        ("raise RuntimeError('at import')\n", "RuntimeError: at import"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("# coding: utf-7\n", "only UTF-8"),
        ('__ID__ = "me"\n', "not a UUID"),
        ('__alias__ = "a/b"\n', "__alias__"),
        (source("twice", "twice"), "twice"),
    ],
)
async def test_a_broken_version_leaves_the_last_good_one_and_says_so(
    installation: Installation, text: str, problem: str
) -> None:
    await started(installation, hello=source("hello"))
    with calling(installation, "hello"):
        installation.save("hello.py", text)
        await until(lambda: installation.problems())
    assert problem in installation.problems()["hello"]
    assert installation.serving() == {"hello": ["hello"]}
    view = installation.catalogue.view(ADMIN)
    assert view is not None and view.modules["hello"].problem is not None
    assert problem in view.modules["hello"].problem.text
    installation.save("hello.py", source("hello", "mended"))
    await until(lambda: installation.serving() == {"hello": ["hello", "mended"]})
    assert installation.problems() == {}


async def test_going_back_to_the_version_that_serves_is_enough(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    installation.save("hello.py", "x = (\n")
    await until(lambda: installation.problems())
    installation.save("hello.py", source("hello"))
    await until(lambda: not installation.problems())
    assert installation.runner.asked == ["hello"]


async def test_a_module_that_never_was_good_fails_by_name(installation: Installation) -> None:
    await started(installation, torn="x = 1\ny = (\n", hello=source("hello"))
    with pytest.raises(Broken) as error:
        installation.answers("torn", "x")
    assert error.value.problem.line == 2
    assert installation.answers("hello") == "hello.hello"
    installation.remove("torn.py")
    await until(lambda: not installation.problems())
    with pytest.raises(NotFound):
        installation.answers("torn", "x")


async def test_an_emptied_file_is_believed_only_when_it_stays_empty(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    place = installation.plugins / "hello.py"
    with calling(installation, "hello"):
        place.write_text("")
        await asyncio.sleep(0.1)  # longer than the watch takes, shorter than a file has to stay empty
        place.write_text(source("hello", "more"))
        await until(lambda: installation.serving() == {"hello": ["hello", "more"]})
    place.write_text("")
    await until(lambda: installation.serving() == {"hello": []})


async def test_a_version_that_becomes_unusable_leaves_the_last_good_one(installation: Installation) -> None:
    installation.save("hello.py", source("hello"))
    await installation.start(max_source=2000)
    await installation.catalogue.wait_ready()
    with calling(installation, "hello"):
        installation.save("hello.py", source("hello", "large") + "#" * 2000)
        await until(lambda: installation.skipped())
    assert "MAX_SOURCE_BYTES" in installation.skipped()["hello.py"]
    installation.save("hello.py", source("hello", "small"))
    await until(lambda: installation.serving() == {"hello": ["hello", "small"]})
    assert installation.skipped() == {}


async def test_what_is_skipped_is_shown_and_the_rest_is_followed(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    os.mkfifo(installation.plugins / "fifo.py")
    (installation.plugins / "link.py").symlink_to("/etc/passwd")
    (installation.plugins / "all").symlink_to("/")
    installation.save("os.py", "")
    await until(lambda: len(installation.skipped()) == 4)
    installation.save("hello.py", source("more"))
    await until(lambda: installation.serving() == {"hello": ["more"]})


async def test_a_module_of_the_earlier_folder_takes_the_place_of_its_namesake(installation: Installation) -> None:
    save(installation.more_plugins / "hello.py", source("later"))
    await started(installation)
    assert installation.serving() == {"hello": ["later"]}
    installation.save("hello.py", source("earlier"))
    await until(lambda: installation.serving() == {"hello": ["earlier"]})
    assert installation.skipped() == {"hello.py": "an earlier plugin folder has a module of this name"}
    installation.remove("hello.py")
    await until(lambda: installation.serving() == {"hello": ["later"]})


async def test_a_module_that_moves_to_another_folder_is_not_imported_again(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    with calling(installation, "hello"):
        (installation.plugins / "hello.py").rename(installation.more_plugins / "hello.py")
        await installation.revised.wait()
        installation.revised.clear()
        await installation.revised.wait()
    stored = await installation.store.modules(ADMIN)
    assert stored.modules[0].source == str(installation.more_plugins / "hello.py")
    assert installation.runner.asked == ["hello"]


async def test_modules_that_need_each_other_are_tried_together(installation: Installation) -> None:
    await started(installation)
    installation.save("user.py", "import shared\n" + source("use"))
    await until(lambda: "ModuleNotFoundError" in installation.problems().get("user", ""))
    installation.save("shared.py", "VALUE = 1\n")
    await until(lambda: installation.serving() == {"shared": [], "user": ["use"]})
    for name, needs in (("ping", "pong"), ("pong", "ping")):
        installation.save(f"{name}.py", f"import {needs}\n" + source(name))
    await until(lambda: installation.serving().keys() == {"shared", "user", "ping", "pong"})


async def test_a_module_that_hangs_at_import_keeps_no_other_from_serving(
    installation: Installation, tmp_path: Path
) -> None:
    await started(installation, hello=source("hello"))
    gate = tmp_path / "gate"
    wait = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    installation.save("slow.py", wait + source("slow"))
    await until(lambda: "slow" in installation.runner.asked)
    installation.save("hello.py", source("hello", "more"))
    await until(lambda: installation.serving() == {"hello": ["hello", "more"]})
    installation.remove("hello.py")
    await until(lambda: installation.serving() == {})
    gate.touch()
    await until(lambda: installation.serving() == {"slow": ["slow"]})


async def test_a_change_during_an_inspection_is_picked_up_after_it(installation: Installation, tmp_path: Path) -> None:
    await started(installation)
    gate = tmp_path / "gate"
    wait = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    installation.save("slow.py", wait + source("first"))
    await until(lambda: installation.runner.asked == ["slow"])
    installation.save("slow.py", source("second"))
    gate.touch()
    await until(lambda: installation.serving() == {"slow": ["second"]} and installation.changed)
    assert installation.changed == [ADMIN], "the version that nobody has any more never served"


async def test_at_most_two_modules_are_inspected_at_once(installation: Installation) -> None:
    await started(installation, **{f"m{number}": source(f"x{number}") for number in range(8)})
    assert len(installation.serving()) == 8
    assert installation.runner.at_once == 2


async def test_a_folder_that_is_removed_and_made_again_is_followed(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    for turn in range(2):
        shutil.rmtree(installation.plugins)
        await until(lambda: installation.serving() == {})
        assert installation.skipped() == {"plugins": "this plugin folder does not exist"}
        installation.save("hello.py", source("hello"))
        await until(lambda: installation.serving() == {"hello": ["hello"]})
        installation.save("hello.py", source(f"more{turn}"))
        await until(lambda turn=turn: installation.serving() == {"hello": [f"more{turn}"]})  # type: ignore[misc]


async def test_a_folder_that_is_a_link_may_be_turned_to_another_release(
    installation: Installation, tmp_path: Path
) -> None:
    for release in ("one", "two"):
        save(tmp_path / release / "hello.py", source(release))
    installation.plugins.rmdir()
    installation.plugins.symlink_to(tmp_path / "one")
    await started(installation)
    assert installation.serving() == {"hello": ["one"]}
    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").rename(installation.plugins)
    await until(lambda: installation.serving() == {"hello": ["two"]})
    save(tmp_path / "two/hello.py", source("three"))
    await until(lambda: installation.serving() == {"hello": ["three"]})


async def test_many_modules_saved_at_once_serve(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    with calling(installation, "hello"):
        for number in range(100):
            installation.save(f"m{number}.py", source(f"x{number}"))
        await until(lambda: len(installation.serving()) == 101, secs=20)
    assert installation.problems() == {}


async def test_closing_stops_following(installation: Installation) -> None:
    await started(installation, hello=source("hello"))
    tasks = asyncio.all_tasks()
    await installation.catalogue.close()
    assert not [task for task in tasks if not task.done() and task.get_name() in ("catalogue", "watch plugin folders")]
    assert installation.serving() == {"hello": ["hello"]}
