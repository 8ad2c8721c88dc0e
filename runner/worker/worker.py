"""A worker: given modules, then calls. Sync functions run one at a time, coroutines share its loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from calls import frames, payload
from calls.call import Outcome
from runner.worker import binding, inspection, kernel, result
from runner.worker.baseline import Baseline
from runner.worker.imports import AllowList
from runner.worker.modules import ImportFailed, Modules
from runner.worker.output import Capture, Output
from runner.worker.variables import ModuleVariables

_READ: Final = 64 * 1024
"""Bytes read at once. Above malloc's threshold every read would map and unmap memory, which costs a third of a call."""


@dataclass(slots=True)
class _Target:
    function: Callable[..., Any]
    plan: binding.Plan
    concurrent: bool


class Worker:
    """One connection to the host, until it closes."""

    def __init__(self, connection: socket.socket, output: Output, folder: Path) -> None:
        self._connection = connection
        self._output = output
        self._reader = frames.FrameReader()
        self._modules = Modules(folder)
        self._targets: dict[tuple[str, str], _Target] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: list[bytes] = []
        self._max_result = 0
        self._baseline: Baseline
        self._variables = ModuleVariables({})

    def run(self, nonce: bytes) -> None:
        """Says hello, takes the modules, then runs calls until the host closes the connection."""
        signal.signal(signal.SIGINT, _interrupted)
        self._connection.sendall(frames.encode(frames.Hello(nonce)))
        self._prepare()
        self._baseline = Baseline(self._output.restore_streams)
        while (body := self._next()) is not None:
            frame = frames.decode_from_host(body)
            if isinstance(frame, frames.Invoke):
                self._invoke(frame)
            elif isinstance(frame, frames.Inspect):
                self._inspect(frame)

    def _prepare(self) -> None:
        while (body := self._next()) is not None:
            frame = frames.decode_from_host(body)
            if isinstance(frame, frames.Bundle):
                self._modules.add(frame.name, frame.data)
            elif isinstance(frame, frames.Begin):
                self._max_result = frame.max_result
                os.environ.update(frame.environ)
                self._variables = ModuleVariables(frame.module_environ)
                sys.path += frame.packages
                self._modules.install(None if frame.imports is None else AllowList(frame.imports))
                return

    def _next(self) -> bytes | None:
        """The next frame; None when the host has closed the connection."""
        while not self._waiting:
            data = self._connection.recv(_READ)
            if not data:
                return None
            self._waiting = self._reader.feed(data)[::-1]
        return self._waiting.pop()

    def _enter(self, module: str) -> None:
        """What is imported and called from now on is this module's; with a worker's coroutines that is one module."""
        if self._variables.enter(module):
            self._baseline.take_environ()

    def _invoke(self, frame: frames.Invoke) -> None:
        self._enter(frame.module)
        capture = self._output.begin(alone=True)
        target = self._target(frame, capture)
        if target is None:
            return
        if target.concurrent:
            self._serve_coroutines(frame, target)
            return
        try:
            finished = self._run(target, *target.plan.bind(payload.decode(frame.payload)))
        except BaseException as error:  # noqa: BLE001  # whatever plugin code raises is its answer
            finished = self._failed(error, capture)
        self._answer(frame.call, finished, capture)

    def _run(self, target: _Target, arguments: list[Any], keywords: dict[str, Any]) -> result.Finished:
        # A context of its own: context variables set by one call are not seen by the next.
        value = contextvars.copy_context().run(target.function, *arguments, **keywords)
        if inspect.iscoroutine(value):  # asyncio's takes any generator for one
            value = self._event_loop().run_until_complete(value)
        return result.finish(value, self._max_result)

    def _inspect(self, frame: frames.Inspect) -> None:
        self._enter(frame.module)
        capture = self._output.begin(alone=True)
        try:
            report = inspection.inspect_module(self._modules.load(frame.module))
        except ImportFailed as error:
            self._import_failed(frame.call, error, capture)
        except ValueError as error:
            self._import_failed(frame.call, ImportFailed(str(error), ""), capture)
        else:
            self._answer(frame.call, result.Finished(Outcome.VALUE, report), capture)

    def _target(self, frame: frames.Invoke, capture: Capture) -> _Target | None:
        """The function to run; None when its module cannot be imported, which is then answered."""
        key = (frame.module, frame.function)
        target = self._targets.get(key)
        if target is None:
            try:
                found = inspection.endpoint_functions(self._modules.load(frame.module)).get(frame.function)
                if found is None:
                    raise ImportFailed(f"{frame.module} exposes no function {frame.function}", "")
                target = _Target(found, binding.Plan(found), inspect.iscoroutinefunction(found))
            except ImportFailed as error:
                self._import_failed(frame.call, error, capture)
                return None
            except binding.BadSignature as error:
                self._import_failed(frame.call, ImportFailed(str(error), ""), capture)
                return None
            self._targets[key] = target
            if not self._tasks:
                self._baseline.take()
        return target

    def _import_failed(self, call: str, error: ImportFailed, capture: Capture) -> None:
        self._output.note(capture, error.trace)
        self._answer(call, result.Finished(Outcome.IMPORT_FAILED, error.text.encode("utf-8", "replace")), capture)

    def _failed(self, error: BaseException, capture: Capture) -> result.Finished:
        finished = result.failed(error)
        if finished.outcome is Outcome.RAISED:
            self._output.note(capture, _trace(error))
        return finished

    def _answer(self, call: str, finished: result.Finished, capture: Capture) -> None:
        retire = not self._tasks and not self._clean()
        log, truncated = self._output.end(capture)
        self._connection.sendall(
            frames.encode(
                frames.Result(
                    call=call,
                    outcome=finished.outcome,
                    payload=finished.payload,
                    status=finished.status,
                    headers=finished.headers,
                    media_type=finished.media_type,
                    log=log,
                    log_truncated=truncated,
                    retire=retire,
                )
            )
        )

    def _clean(self) -> bool:
        """Ends processes the call left behind and undoes what it changed; False when it cannot."""
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return self._baseline.restore()
        return not kernel.kill_descendants(os.getpid()) and self._baseline.restore()

    # Coroutines: while at least one runs, frames are read by the event loop.

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def _serve_coroutines(self, frame: frames.Invoke, target: _Target) -> None:
        loop = self._event_loop()
        self._start(loop, frame, target)
        while self._waiting:
            self._received(loop, self._waiting.pop())
        loop.add_reader(self._connection.fileno(), self._readable)
        try:
            while self._tasks:  # one that came in the very moment in which the last had ended
                loop.run_forever()
        finally:
            loop.remove_reader(self._connection.fileno())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=1))

    def _start(self, loop: asyncio.AbstractEventLoop, frame: frames.Invoke, target: _Target) -> None:
        task = loop.create_task(self._run_coroutine(frame, target))
        self._tasks[frame.call] = task

    async def _run_coroutine(self, frame: frames.Invoke, target: _Target) -> None:
        capture = self._output.begin(alone=False)
        try:
            finished = await self._await(target, *target.plan.bind(payload.decode(frame.payload)))
        except BaseException as error:  # noqa: BLE001  # whatever plugin code raises is its answer
            finished = self._failed(error, capture)
        del self._tasks[frame.call]
        self._answer(frame.call, finished, capture)
        if not self._tasks:
            self._event_loop().stop()

    async def _await(self, target: _Target, arguments: list[Any], keywords: dict[str, Any]) -> result.Finished:
        return result.finish(await target.function(*arguments, **keywords), self._max_result)

    def _readable(self) -> None:
        data = self._connection.recv(_READ)
        if not data:
            sys.exit(0)
        for body in self._reader.feed(data):
            self._received(self._event_loop(), body)

    def _received(self, loop: asyncio.AbstractEventLoop, body: bytes) -> None:
        """A frame while coroutines run: the host sends only more of them, and cancellations."""
        frame = frames.decode_from_host(body)
        if isinstance(frame, frames.Cancel):
            if task := self._tasks.get(frame.call):
                task.cancel()
        elif isinstance(frame, frames.Invoke):
            target = self._target(frame, self._output.begin(alone=False))
            if target is not None:
                self._start(loop, frame, target)


_INTERRUPTIBLE: Final = (Worker._run.__code__, Worker._await.__code__)
"""Code within which functions run."""


def _interrupted(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """SIGINT interrupts the function that runs, as in any program. What a call that has ended sends is for nobody."""
    while frame is not None:
        if frame.f_code in _INTERRUPTIBLE:
            raise KeyboardInterrupt
        frame = frame.f_back


def _trace(error: BaseException) -> str:
    """The traceback as its author wants it: without the platform's own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except BaseException as unprintable:  # noqa: BLE001  # plugin code runs while its exception is printed
        return f"{type(error).__name__} ({type(unprintable).__name__} while printing it)\n"
