"""An audit in lines and in plain values: what is refused, what is notable, what was measured."""

from collections.abc import Iterator, Sequence
from typing import Any

from clar_sweeps.audit.auditing import Audit, Audited
from clar_sweeps.audit.rules import RULES, Rule

FORMAT = 1  # of audit.json; raised when a field changes its meaning
_MOST_NAMED = 3


def refusals(audit: Audit) -> list[str]:
    """Why the sweep cannot be run: a line for each operation, and each chain of sound ones.

    A line tells the first rule that is broken; others follow from it as a rule.
    """
    lines = []
    for found in audit.operations:
        if found.refused:
            users = [chain for chain in audit.chains if found.planned.is_part_of(chain.planned)]
            place = f"operation {found.title} of {found.planned.clips.title}"
            told = found.refused[0].tell(found.facts)
            lines.append(f"{place} (in {_names(users, 'chain')}): {told}")
    for chain in audit.chains:
        if chain.refused and not _has_unsound_part(audit, chain):
            told = chain.refused[0].tell(chain.facts)
            lines.append(f"chain {chain.title} of {chain.planned.clips.title}: {told}")
    return lines


def _has_unsound_part(audit: Audit, chain: Audited[Any, Any]) -> bool:
    return any(
        found.refused and found.planned.is_part_of(chain.planned) for found in audit.operations
    )


def notes(audit: Audit) -> list[str]:
    """What is allowed and worth knowing: a line for each rule, with all whom it concerns."""
    found = [*_by_rule(audit.operations, "operation"), *_by_rule(audit.chains, "chain")]
    return [
        f"{_names(which, noun)} of {dataset}: {rule.tell(*(each.facts for each in which))}"
        for dataset, rule, which, noun in found
    ]


def _by_rule(
    audited: Sequence[Audited[Any, Any]], noun: str
) -> Iterator[tuple[str, Rule, list[Audited[Any, Any]], str]]:
    for dataset in dict.fromkeys(each.planned.clips.title for each in audited):
        for rule in RULES:
            which = [
                each
                for each in audited
                if rule in each.notable and each.planned.clips.title == dataset
            ]
            if which:
                yield dataset, rule, which, noun


def _names(which: Sequence[Audited[Any, Any]], noun: str) -> str:
    """Titles, as many as a line has room for: `FD-TM, TM and 9 more chains`."""
    titles = ", ".join(each.title for each in which[:_MOST_NAMED])
    more = len(which) - _MOST_NAMED
    return f"{titles} and {more} more {noun}{'s' if more > 1 else ''}" if more > 0 else titles


def plain(audit: Audit, *, sweep: str) -> dict[str, Any]:
    """All of an audit as JSON has it.

    Args:
        audit: What was found.
        sweep: Its name.
    """
    return {
        "format": FORMAT,
        "sweep": sweep,
        "seed": audit.seed,
        "num_clips": audit.num_clips,
        "refused": refusals(audit),
        "notable": notes(audit),
        "operations": [_plain_subject(each) for each in audit.operations],
        "chains": [_plain_subject(each) for each in audit.chains],
        "rules": [rule._asdict() for rule in RULES],
    }


def _plain_subject(audited: Audited[Any, Any]) -> dict[str, Any]:
    return {
        "title": audited.title,
        **_plain(audited.planned),
        "num_trials": audited.num_trials,
        "breaks": [rule.name for rule in audited.refused],
        "notable": [rule.name for rule in audited.notable],
        **_plain(audited.facts),
    }


def _plain(value: Any) -> Any:
    """NamedTuples as objects, all the way down."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
