"""What the front of a gateway stands on, which differs from one arrangement of processes to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calls.broker import Broker
from calls.kept import KeptCalls
from calls.pools import PoolControl
from catalogue.trials import Inspect
from gateway.journal import Journal
from gateway.usage import UsageMeter
from plans import Plan
from store.contract import Store
from tokens.ledger import Ledger


@dataclass(frozen=True)
class Parts:
    """What a front stands on."""

    store: Store
    broker: Broker
    kept: KeptCalls
    ledger: Ledger
    pools: PoolControl
    journal: Journal
    inspect: Inspect
    plans: Mapping[str, Plan]
    """The plans that a tenant may have, by name."""
    usage: UsageMeter
    """Counts what tenants use; begins and ends with the front."""
    environment: Callable[[], str]
    """Names the packages that the admin's modules are imported with."""
    package_problem: Callable[[], str | None]
    """Why they are not as required, if they are not."""
    ready: Callable[[], str | None]
    """Why a call would not be served now, if it would not."""
    told_secs: float = 0
    """Seconds in which all gateways know of a change of the store; 0 when there is one gateway."""
