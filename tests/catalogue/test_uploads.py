"""Modules that come over the network: when they serve, why they do not, and beside files of the same name."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest

from calls.call import Outcome, Reply
from catalogue.unpacking import BadUpload, TooLarge
from catalogue.uploads import MAX_WAITING, Disabled, NoTenant, NotNow, TooMany
from store.contract import UPLOADED, Status, Tenant, TenantChange
from tests.catalogue.conftest import ADMIN, TENANT, Installation, source
from tests.waiting import until

MINE = f'__ID__ = "{TENANT}"'
OTHER = "33333333-3333-4333-a333-333333333333"


@pytest.fixture
async def installed(installation: Installation) -> Installation:
    """Started, with one tenant."""
    await installation.start()
    await installation.store.add_tenant(Tenant(uuid=TENANT))
    await installation.catalogue.wait_ready()
    return installation


async def put(installed: Installation, name: str, text: str, owner: str = TENANT) -> bool:
    return await installed.catalogue.uploads.put(owner, name, text.encode())


def zipped(files: dict[str, str]) -> bytes:
    """A zip archive of these files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as writing:
        for path, text in files.items():
            writing.writestr(path, text)
    return made.getvalue()


async def refusal(installed: Installation, name: str, text: str, owner: str = TENANT) -> BadUpload:
    with pytest.raises(BadUpload) as refused:
        await put(installed, name, text, owner)
    return refused.value


async def test_an_upload_serves_at_once_and_until_it_is_removed(installed: Installation) -> None:
    assert await put(installed, "hello", source("hello", header='__alias__ = "v1"'))
    assert installed.serving(TENANT) == {"hello": ["hello"]}
    assert installed.answers("v1", "hello", owner=TENANT) == "hello.hello"
    assert installed.serving() == {}
    await until(lambda: TENANT in installed.changed)
    assert not await put(installed, "hello", source("hello", "other"))
    assert installed.serving(TENANT) == {"hello": ["hello", "other"]}
    assert await installed.catalogue.uploads.remove(TENANT, "hello")
    assert installed.serving(TENANT) == {}
    assert not await installed.catalogue.uploads.remove(TENANT, "hello")


async def test_the_same_upload_again_is_not_tried_again(installed: Installation) -> None:
    await put(installed, "hello", source("hello"))
    revision = (await installed.store.modules(TENANT)).revision
    assert not await put(installed, "hello", source("hello"))
    assert installed.runner.asked == ["hello"]
    assert (await installed.store.modules(TENANT)).revision == revision


async def test_uploads_can_import_each_other(installed: Installation) -> None:
    await put(installed, "base", "number = 5\n")
    await put(installed, "uses", "import base\nassert base.number == 5\n")
    assert installed.serving(TENANT).keys() == {"base", "uses"}


async def test_a_broken_upload_changes_nothing_and_says_why(installed: Installation) -> None:
    await put(installed, "hello", source("hello"))
    broken = await refusal(installed, "hello", "x = (\n")
    assert (broken.field, broken.line) == ("source", 1)
    assert "SyntaxError" in broken.text
    broken = await refusal(installed, "hello", "import nobody_has_this\n")
    assert "nobody_has_this" in broken.text
    assert installed.serving(TENANT) == {"hello": ["hello"]}
    assert installed.problems() == {}


@pytest.mark.parametrize("text", ["# coding: utf-7\n", "\0", "# -*- coding: rot13 -*-\n"])
async def test_j8_a_source_that_could_be_read_in_two_ways_is_refused(installed: Installation, text: str) -> None:
    assert (await refusal(installed, "hello", text)).field == "source"
    assert installed.runner.asked == []


@pytest.mark.parametrize("owner", [ADMIN, OTHER])
async def test_an_upload_of_another_owner_is_refused_and_never_imported(installed: Installation, owner: str) -> None:
    await installed.store.add_tenant(Tenant(uuid=OTHER))
    assert "__ID__" in (await refusal(installed, "hello", source("hello", header=f'__ID__ = "{owner}"'))).text
    assert installed.runner.asked == []
    assert await installed.store.owners() == []
    assert await put(installed, "hello", source("hello", header=MINE))


@pytest.mark.parametrize(
    "name",
    [
        *("os", "sys", "builtins", "json", "expose", "vyperlogix", "__main__", "__init__", "sitecustomize"),
        *("usercustomize", "conftest", "site", "class", "a.b", "a/b", "../x", "", "Hello", "h\u0435llo", "a\u202eb"),
        *("x" * 300, "1a", "a b", "$set"),
    ],
)
async def test_j6_names_that_no_module_may_have(installed: Installation, name: str) -> None:
    refused = await refusal(installed, name, "")
    assert refused.field == "name"
    assert installed.runner.asked == []


async def test_j11_of_20_uploads_of_one_name_at_once_one_is_current(installed: Installation) -> None:
    sources = [source(f"api-{number}") for number in range(20)]
    created = await asyncio.gather(*(put(installed, "hello", text) for text in sources))
    assert sorted(created) == [False] * 19 + [True]
    assert installed.runner.at_once == 1
    assert installed.serving(TENANT) == {"hello": ["api-19"]}


async def test_uploads_of_one_tenant_that_wait_are_bounded(installed: Installation) -> None:
    sources = [source(f"api-{number}") for number in range(MAX_WAITING + 2)]
    ended = await asyncio.gather(*(put(installed, "hello", text) for text in sources), return_exceptions=True)
    assert [type(one) for one in ended if isinstance(one, Exception)] == [TooMany, TooMany]
    assert not await put(installed, "hello", sources[0])


async def test_modules_of_one_tenant_are_bounded(installed: Installation) -> None:
    installed.save("file.py", source("file", header=MINE))
    await until(lambda: installed.serving(TENANT))
    for number in range(5):
        await put(installed, f"m{number}", source(f"api{number}"))
    with pytest.raises(TooMany, match="MAX_TENANT_MODULES"):
        await put(installed, "m5", source("api5"))
    await put(installed, "m4", source("another"))
    await installed.catalogue.uploads.remove(TENANT, "m0")
    await put(installed, "m5", source("api5"))


async def test_nobody_uploads_for_a_tenant_that_is_not_there_or_disabled(installed: Installation) -> None:
    for owner in (OTHER, ADMIN):
        with pytest.raises(NoTenant):
            await put(installed, "hello", source("hello"), owner)
    await installed.store.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    with pytest.raises(Disabled):
        await put(installed, "hello", source("hello"))
    assert installed.runner.asked == []


async def test_without_a_runner_it_is_to_be_tried_again(installed: Installation) -> None:
    installed.runner.refusing = Reply(call="", outcome=Outcome.UNAVAILABLE, payload=b"no sandbox")
    with pytest.raises(NotNow, match="no sandbox"):
        await put(installed, "hello", source("hello"))
    installed.runner.refusing = None
    assert await put(installed, "hello", source("hello"))


async def test_an_upload_wins_over_a_file_until_it_is_removed(installed: Installation) -> None:
    installed.save("hello.py", source("file", header=MINE))
    await until(lambda: installed.serving(TENANT) == {"hello": ["file"]})
    assert await put(installed, "hello", source("upload"))
    assert installed.serving(TENANT) == {"hello": ["upload"]}
    await until(lambda: "an upload of this name" in installed.problems().get("hello", ""))
    installed.save("hello.py", source("newer", header=MINE))
    installed.save("other.py", source("other", header=MINE))
    await until(lambda: "other" in installed.serving(TENANT))
    assert installed.serving(TENANT)["hello"] == ["upload"]
    await installed.catalogue.uploads.remove(TENANT, "hello")
    await until(lambda: installed.serving(TENANT) == {"hello": ["newer"], "other": ["other"]})
    assert installed.problems() == {}


async def test_a_file_that_goes_takes_no_upload_with_it(installed: Installation) -> None:
    installed.save("hello.py", source("file", header=MINE))
    await until(lambda: installed.serving(TENANT) == {"hello": ["file"]})
    await put(installed, "hello", source("upload"))
    installed.remove("hello.py")
    installed.save("other.py", source("other", header=MINE))
    await until(lambda: "other" in installed.serving(TENANT))
    assert installed.serving(TENANT)["hello"] == ["upload"]
    await until(lambda: not installed.problems())


async def test_a_bundle_is_a_package_with_its_data(installed: Installation) -> None:
    reads = "import pathlib\nassert (pathlib.Path(__file__).parent / 'prices.csv').read_text() == 'a,1'\n"
    files = {"__init__.py": source("list", header='__alias__ = "s"') + reads, "prices.csv": "a,1", "json.py": ""}
    assert await installed.catalogue.uploads.put(TENANT, "shop", zipped(files))
    assert installed.serving(TENANT) == {"shop": ["list"]}
    assert installed.answers("s", "list", owner=TENANT) == "shop.list"


@pytest.mark.parametrize(
    ("files", "field", "line"),
    [
        ({"__init__.py": "x = (\n"}, "source", 1),
        ({"__init__.py": f'__ID__ = "{ADMIN}"\n'}, "source", None),
        ({"__init__.py": "import nobody_has_this\n"}, "source", 1),
        ({"__init__.py": "", "inner.py": "x = 1\n# coding: utf-7\n"}, "bundle", 2),
        ({"__init__.py": "", "inner.py": "a\0"}, "bundle", 1),
        ({"__init__.py": "", "../x": ""}, "bundle", None),
    ],
)
async def test_j1_j8_a_bundle_that_cannot_serve_is_refused(
    installed: Installation, files: dict[str, str], field: str, line: int | None
) -> None:
    with pytest.raises(BadUpload) as refused:
        await installed.catalogue.uploads.put(TENANT, "shop", zipped(files))
    assert (refused.value.field, refused.value.line) == (field, line)
    assert await installed.store.owners() == []


async def test_what_holds_too_much_is_refused(installed: Installation) -> None:
    with pytest.raises(TooLarge, match="MAX_SOURCE_BYTES"):
        await put(installed, "shop", "#" * (256 * 1024 + 1))
    with pytest.raises(TooLarge, match="MAX_BUNDLE_BYTES"):
        await installed.catalogue.uploads.put(
            TENANT, "shop", zipped({"__init__.py": "", "big": " " * 1024 * 1024 + "!"})
        )
    assert installed.runner.asked == []


async def test_uploads_are_there_after_a_restart(installed: Installation) -> None:
    await put(installed, "hello", source("hello"))
    await installed.stop()
    await installed.start()
    assert installed.serving(TENANT) == {"hello": ["hello"]}
    await installed.catalogue.wait_ready()
    assert installed.serving(TENANT) == {"hello": ["hello"]}


async def test_what_another_process_stored_is_shown_once_it_is_told(installed: Installation) -> None:
    await put(installed, "hello", source("hello"))
    [one] = (await installed.store.modules(TENANT)).modules
    assert one.source == UPLOADED
    await installed.store.change_modules(TENANT, [], ["hello"])
    installed.catalogue.follow(TENANT)
    await until(lambda: installed.serving(TENANT) == {})
    await installed.store.change_modules(TENANT, [one], [])
    installed.catalogue.follow(TENANT)
    await until(lambda: installed.serving(TENANT) == {"hello": ["hello"]})


async def test_a_file_does_not_undo_an_upload_that_this_process_was_not_told_of(installed: Installation) -> None:
    await put(installed, "hello", source("upload"))
    [upload] = (await installed.store.modules(TENANT)).modules
    await installed.catalogue.uploads.remove(TENANT, "hello")
    await installed.store.change_modules(TENANT, [upload], [])  # as another gateway would
    installed.save("hello.py", source("file", header=MINE))
    await until(lambda: "an upload of this name" in installed.problems().get("hello", ""))
    assert installed.serving(TENANT) == {"hello": ["upload"]}


async def test_what_was_stored_while_the_tenant_was_removed_goes_too(installed: Installation) -> None:
    await put(installed, "hello", source("hello"))
    [one] = (await installed.store.modules(TENANT)).modules
    await installed.store.remove_tenant(TENANT)
    await installed.store.change_modules(TENANT, [one], [])
    installed.catalogue.follow(TENANT)
    await until(lambda: installed.serving(TENANT) == {})
    assert await installed.store.owners() == []


async def test_an_upload_for_a_tenant_that_is_removed_meanwhile_leaves_nothing(installed: Installation) -> None:
    async def removing() -> None:
        await until(lambda: installed.runner.asked)
        await installed.store.remove_tenant(TENANT)

    task = asyncio.create_task(removing())
    with pytest.raises(NoTenant):
        await put(installed, "hello", source("hello", body="pass") + "\nimport time; time.sleep(0.3)\n")
    await task
    assert await installed.store.owners() == []


async def test_files_of_a_tenant_serve_from_its_registration_to_its_removal(installation: Installation) -> None:
    installation.save("hello.py", source("hello", header=MINE))
    await installation.start()
    await installation.catalogue.wait_ready()
    for _ in range(2):
        await installation.store.add_tenant(Tenant(uuid=TENANT))
        installation.catalogue.follow(TENANT)
        await until(lambda: installation.serving(TENANT) == {"hello": ["hello"]})
        await installation.store.remove_tenant(TENANT)
        installation.catalogue.follow(TENANT)
        await until(lambda: installation.serving(TENANT) == {})
        await until(lambda: TENANT in installation.problems().get("hello", ""))
    assert await installation.store.owners() == []


async def test_new_files_of_a_disabled_tenant_are_not_imported_before_it_is_enabled(installed: Installation) -> None:
    installed.save("hello.py", source("hello", header=MINE))
    await until(lambda: installed.serving(TENANT) == {"hello": ["hello"]})
    await installed.store.change_tenant(TENANT, TenantChange(status=Status.DISABLED))
    installed.catalogue.follow(TENANT)
    installed.save("other.py", source("other", header=MINE))
    await until(lambda: "disabled" in installed.problems().get("other", ""))
    assert "other" not in installed.runner.asked
    await installed.store.change_tenant(TENANT, TenantChange(status=Status.ENABLED))
    installed.catalogue.follow(TENANT)
    await until(lambda: installed.serving(TENANT) == {"hello": ["hello"], "other": ["other"]})
