"""Audits the augmentation chains of a sweep before compute time is spent on them."""

from clar_sweeps.audit.auditing import Audit, Audited, audit_chains
from clar_sweeps.audit.rules import RULES, Rule, num_refusing
from clar_sweeps.audit.tables import tables
from clar_sweeps.audit.telling import notes, plain, refusals

__all__ = [
    "RULES",
    "Audit",
    "Audited",
    "Rule",
    "audit_chains",
    "notes",
    "num_refusing",
    "plain",
    "refusals",
    "tables",
]
