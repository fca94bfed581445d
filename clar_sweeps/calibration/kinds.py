"""Kinds of trials in words: what decides their cost and is not the same in all of a sweep."""

from collections.abc import Sequence

from clar_sweeps.config import Trial, TrialConfig
from clar_sweeps.watching.estimate import COST_FIELDS, COSTLY

# Those whose values say by themselves what they are of.
_PLAIN = ("dataset", "condition", "folder", "method", "encoder")
_OTHER_OPERATIONS = "other operations"


def kinds_of(trials: Sequence[Trial]) -> dict[str, str]:
    """The kind of each trial, by id.

    Of a chain only the operations by the phase vocoder count, in any order: beside them the others
    cost next to nothing.
    """
    trained = [trial.config for trial in trials if trial.config.epochs]
    untrained = [trial.config for trial in trials if not trial.config.epochs]
    words = {True: _differing(trained), False: _differing(untrained)}
    with_chain = len({_costly(config) for config in trained}) > 1
    return {
        trial.id: _in_words(trial.config, words[trial.config.epochs > 0], with_chain=with_chain)
        for trial in trials
    }


def _differing(configs: Sequence[TrialConfig]) -> list[str]:
    """Fields with several values; where one does not apply, another field tells the two apart."""
    return [
        name
        for name in COST_FIELDS
        if len({getattr(config, name) for config in configs} - {None}) > 1
    ]


def _in_words(config: TrialConfig, names: Sequence[str], *, with_chain: bool) -> str:
    parts = [] if config.epochs else ["untrained encoder"]
    for name in names:
        value = getattr(config, name)
        if value is not None:
            parts.append(_word(name, value))
    if config.epochs and with_chain:
        parts.append(_costly(config))
    return ", ".join(parts) or "all trials"


def _word(name: str, value: object) -> str:
    if name == "label_fraction":
        return f"{100 * float(str(value)):g} % of labels"
    if name == "features":
        return "features " + " ".join(str(field) for _, field in value)  # type: ignore[attr-defined]  # a model gives its fields
    return str(value) if name in _PLAIN else f"{name} {value}"


def _costly(config: TrialConfig) -> str:
    found = sorted(set(config.augment) & COSTLY)
    return "+".join(found) or _OTHER_OPERATIONS
