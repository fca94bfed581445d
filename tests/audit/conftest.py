"""Audits of tiny trials on the digits of the session."""

from collections.abc import Callable

import pytest
from tiny import tiny_config

from clar_sweeps.audit import Audit, audit_chains, refusals
from clar_sweeps.config import make_trial
from clar_sweeps.data import Waveforms

Refuse = Callable[..., list[str]]


@pytest.fixture
def audit_of(digits: Waveforms) -> Callable[..., Audit]:
    """Audit the chains of tiny trials, given as lists of operations, with fields in common."""

    def audit(*chains: list[str], num_clips: int | None = None, **fields: object) -> Audit:
        trials = [make_trial(tiny_config(augment=chain, **fields)) for chain in chains]
        return audit_chains(trials, num_clips=num_clips)

    return audit


@pytest.fixture
def refused(audit_of: Callable[..., Audit]) -> Refuse:
    """The lines by which chains are refused."""

    def lines(*chains: list[str], **fields: object) -> list[str]:
        return refusals(audit_of(*chains, **fields))

    return lines
