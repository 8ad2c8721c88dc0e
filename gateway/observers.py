"""Who hears of every answer: metrics, the log, and of what functions print the logs of calls."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gateway.answers import Answer
from gateway.journal import Journal
from gateway.logs import CallLogs
from gateway.metrics import Metrics


@dataclass(frozen=True)
class Observers:
    """All of them, in one gateway."""

    logs: CallLogs
    metrics: Metrics
    journal: Journal

    def answered(self, call: str, client: str, method: str, path: str, answer: Answer, seconds: float) -> None:
        """Counts the answer, writes its line, and keeps what the call printed."""
        reply = answer.reply
        queue, run = (reply.queue, reply.run) if reply is not None else (0.0, 0.0)
        if reply is None:
            self.metrics.refused(answer.outcome, answer.status)
        else:
            self.metrics.call(answer.outcome, answer.status, queue, reply.bind, run)
        self.journal.access(call, client, method, path, answer.status, answer.outcome, seconds, queue, run)
        if reply is not None and answer.target is not None and (reply.log or answer.status >= 500):
            self.logs.add(
                time=time.time(),
                call=call,
                owner=answer.owner,
                module=answer.target.module.name,
                api=answer.target.endpoint.api,
                outcome=answer.outcome,
                status=answer.status,
                output=reply.log,
                truncated=reply.log_truncated,
                run_ms=run * 1000,
            )
