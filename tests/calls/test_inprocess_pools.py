"""Given the one host of a process, when its pools are seen and it is drained, then the broker does as it is told."""

from __future__ import annotations

import pytest

from calls.broker import Refused, ask
from calls.call import Outcome
from calls.inprocess import InProcessBroker, InProcessPools
from calls.pools import UnknownHost
from tests.calls.ends import FixedPools, PatientHost, call, submit


@pytest.fixture
def broker() -> InProcessBroker:
    return InProcessBroker(1000, 1000, 10**6)


async def test_a_drained_host_finishes_its_calls_and_gets_no_more_until_that_is_undone(broker: InProcessBroker) -> None:
    host = PatientHost()
    pools = InProcessPools(broker, "h", FixedPools(admin=1), capacity=8)
    assert broker.problem == "no runner host is there"
    broker.attach("h", host)
    held = submit(broker, call())
    for _ in range(2):
        assert (await pools.drain_host("h", draining=True)).draining
    assert (pools.hosts()[0].draining, pools.hosts()[0].load) == (True, 1)
    with pytest.raises(Refused, match="every runner host is draining"):
        ask(broker, call())
    assert broker.problem == "every runner host is draining"
    host.answer()
    assert (await held).outcome is Outcome.VALUE
    assert not (await pools.drain_host("h", draining=False)).draining
    assert broker.problem is None
    again = submit(broker, call())
    host.answer(1)
    assert (await again).outcome is Outcome.VALUE


async def test_orders_reach_the_host_and_runners_say_where_they_are(broker: InProcessBroker) -> None:
    fixed = FixedPools(admin=1)
    pools = InProcessPools(broker, "h", fixed, capacity=8)
    [runner] = pools.pools()[0].runners
    assert runner.host == "h"
    assert (await pools.drain_runner(runner.id)).runners[0].host == "h"
    assert (await pools.drain_pool("admin")).runners[0].host == "h"
    assert fixed.drained == [runner.id, "admin"]
    assert (await pools.scale("admin", 3)).size == 3
    with pytest.raises(UnknownHost):
        await pools.drain_host("other", draining=True)
