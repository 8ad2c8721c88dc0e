"""The Docker Engine's API without blocking the event loop: the SDK's calls run in a small thread pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import docker
import msgspec
import requests
from docker import errors

from runner.launcher import Used

_THREADS: Final = 8
_TIMEOUT_SECS: Final = 60
"""Seconds one request may take; the Engine answers most within milliseconds, a start within a second."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class EngineError(Exception):
    """The Engine refused; the message is its own."""


class EngineAway(EngineError):
    """The Engine cannot be reached, or gave no answer in time."""


class NotThere(EngineError):
    """It has no such container, image or network."""


class Conflict(EngineError):
    """The object's state does not allow it now."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an Engine is like."""

    runtimes: frozenset[str]
    """Names of the runtimes containers can have here."""
    systemd: bool
    """It leaves control groups to systemd, where a parent group is a slice."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a container is in its life."""

    running: bool
    paused: bool
    exit_code: int
    out_of_memory: bool
    """The kernel killed at least one of its processes for want of memory."""


class Engine:
    """One Engine on this machine. Every method but `close` raises EngineError or one of its kinds."""

    def __init__(self, address: str) -> None:
        """`address` as in DOCKER_HOST; only `unix://…` can share runners' sockets. Raises ValueError."""
        scheme, _, path = address.partition("://")
        if scheme != "unix" or not path.startswith("/"):
            raise ValueError(f"{address!r} is no Engine on this machine: it must be unix:///path/to/docker.sock")
        self.socket = Path(path)
        self._address = address
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")
        self._client: Any = None

    async def open(self) -> None:
        """Connects and settles on a version of the API."""
        if self._client is None:
            self._client = await self._run(
                partial(docker.APIClient, self._address, version="auto", timeout=_TIMEOUT_SECS, max_pool_size=_THREADS)
            )

    def close(self) -> None:
        """Lets go of the Engine. Requests under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def facts(self) -> Facts:
        """What this Engine is like; it may differ after a restart of the Engine."""
        info = await self._run(self._client.info)
        return Facts(runtimes=frozenset(info["Runtimes"]), systemd=info["CgroupDriver"] == "systemd")

    async def image(self, name: str) -> str:
        """Content address of an image."""
        return str((await self._run(self._client.inspect_image, name))["Id"])

    async def network(self, name: str) -> str:
        """Id of a network."""
        return str((await self._run(self._client.inspect_network, name))["Id"])

    async def create(self, name: str, body: dict[str, Any]) -> tuple[str, list[str]]:
        """Creates a container; its id, and what of the body the Engine will not honour."""
        created = await self._run(self._client.create_container_from_config, body, name)
        return str(created["Id"]), list(created.get("Warnings") or ())

    async def start(self, container: str, stdin: bytes) -> None:
        """Starts a container and gives it `stdin`, then the end of the input."""
        await self._run(self._start, container, stdin)

    def _start(self, container: str, stdin: bytes) -> None:
        if not stdin:
            self._client.start(container)
            return
        # Attached first: a container whose input nobody holds might read its end at once.
        attached = self._client.attach_socket(container, {"stdin": 1, "stream": 1})
        with attached, attached._sock as connection:
            self._client.start(container)
            connection.sendall(stdin)

    async def state(self, container: str) -> State:
        """How the container is now."""
        state = (await self._run(self._client.inspect_container, container))["State"]
        return State(
            running=state["Running"],
            paused=state["Paused"],
            exit_code=state["ExitCode"],
            out_of_memory=state["OOMKilled"],
        )

    async def update(self, container: str, body: dict[str, int]) -> None:
        """Gives a container that runs other resources. Raises EngineError also for what it will not honour."""
        warnings = await self._run(self._update, container, body)
        if warnings:
            raise EngineError("; ".join(warnings))

    def _update(self, container: str, body: dict[str, int]) -> list[str]:
        # The SDK's own method knows no CPUs but by quota, which the Engine refuses for what was made by CPUs.
        url = f"{self._client.base_url}/v{self._client.api_version}/containers/{container}/update"
        response = self._client.post(url, json=body, timeout=_TIMEOUT_SECS)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            errors.create_api_error_from_http_exception(error)
        return list(response.json().get("Warnings") or ())

    async def used(self, container: str) -> Used | None:
        """What the control group of a container counts; of RAM without files that are merely cached. None when it
        does not run."""
        found = await self._run(partial(self._client.stats, container, stream=False, one_shot=True))
        memory = found["memory_stats"]
        if "usage" not in memory:
            return None
        counted = memory.get("stats", {})
        cached = counted.get("total_inactive_file", counted.get("inactive_file", 0))  # cgroup v1, v2
        nanoseconds = found["cpu_stats"]["cpu_usage"]["total_usage"]
        return Used(max(0, int(memory["usage"]) - int(cached)), int(nanoseconds) / 1e9)

    async def remove(self, container: str) -> None:
        """Kills a container and removes it. Raises Conflict while somebody else is removing it."""
        await self._run(partial(self._client.remove_container, container, force=True, v=True))

    async def labelled(self, label: str) -> dict[str, dict[str, str]]:
        """Id → labels of every container with this label ("name=value"), running or not."""
        found = await self._run(partial(self._client.containers, all=True, filters={"label": [label]}))
        return {str(one["Id"]): one["Labels"] for one in found}

    async def _run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, partial(_translated, function, *args, **kwargs)
        )


def _translated(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    try:
        return function(*args, **kwargs)
    except errors.NotFound as error:
        raise NotThere(_words(error)) from error
    except errors.APIError as error:
        if error.status_code == requests.codes.conflict:
            raise Conflict(_words(error)) from error
        raise EngineError(_words(error)) from error
    except (errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineAway(f"the Docker Engine does not answer: {error}") from error


def _words(error: Any) -> str:
    """What the Engine said, without what a runtime may have added below."""
    return str(error.explanation or error).strip().partition("\n")[0]
