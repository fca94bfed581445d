"""How parameters are drawn: whether they repeat where they must not, and how they spread."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clar_sweeps import rng
from clar_sweeps.audit.rules import SIGMAS
from clar_sweeps.augment import Operation

# Clips that parameters are drawn for; 64 tell an operation's own coin from a repeated one.
NUM_DRAWN = 64

_IN_SAMPLES = {"shifts", "in_sizes", "out_sizes", "starts", "widths"}
_UNITS = {"semitones": "semitones", "rates": "×", "snr_db": "dB"} | dict.fromkeys(_IN_SAMPLES, "s")
_INDICES = {"shapes", "colours"}


class Draws(NamedTuple):
    """Repetitions of an operation's parameters, of the worst of them.

    What chance explains is taken off: a whole semitone of 31 comes again in 3 % of clips.

    Attributes:
        same_for_all_share: Clips of a batch that have the most common draw.
        repeated_in_batch_share: Pairs of clips of one batch with the same draw, beyond chance.
        same_in_views_share: Clips with the same draw in both views, beyond chance.
        same_in_epochs_share: The same of one epoch and the next.
        same_in_seeds_share: The same of one seed and the next.
        changed_again_share: Clips with another draw where the same seed and epoch are asked for.
    """

    same_for_all_share: float
    repeated_in_batch_share: float
    same_in_views_share: float
    same_in_epochs_share: float
    same_in_seeds_share: float
    changed_again_share: float


class Spread(NamedTuple):
    """How one parameter was drawn.

    Attributes:
        name: As the operation names it.
        unit: Empty where it has none.
        num_distinct: Different draws.
        num_drawn: All draws.
        lowest: None, as the next two, of what is no single number a clip.
        median: In the unit.
        highest: In the unit.
    """

    name: str
    unit: str
    num_distinct: int
    num_drawn: int
    lowest: float | None
    median: float | None
    highest: float | None

    def describe(self) -> str:
        """In words: `semitones -15 to 15 (median 1)`."""
        if self.lowest is None or self.median is None or self.highest is None:
            return f"{self.name} {self.num_distinct} of {self.num_drawn} distinct"
        numbers = [f"{number:.3g}" for number in (self.lowest, self.highest, self.median)]
        unit = f" {self.unit}" if self.unit not in ("", self.name) else ""
        return f"{self.name} {numbers[0]} to {numbers[1]}{unit} (median {numbers[2]})"


Column = list[Hashable]


class Parameter(NamedTuple):
    """One parameter of NUM_DRAWN clips."""

    name: str
    column: Column  # equal entries are equal draws
    values: Tensor | None  # (NUM_DRAWN,); None of what is no single number a clip


class Drawn(NamedTuple):
    """Parameters, drawn as training does."""

    first: tuple[Parameter, ...]
    second: tuple[Parameter, ...]  # the other view
    next_epoch: tuple[Parameter, ...]
    next_seed: tuple[Parameter, ...]
    again: tuple[Parameter, ...]  # the first once more


def draw(operation: Operation, *, time: int, seed: int) -> Drawn:
    """Draw from the generators of the first epoch, of the next, and of the next seed.

    Args:
        operation: Only its `sample` is called.
        time: Samples of a clip.
        seed: The trial's.
    """

    def sample(generator: torch.Generator) -> tuple[Parameter, ...]:
        drawn = operation.sample(batch=NUM_DRAWN, time=time, generator=generator)
        names = getattr(drawn, "_fields", None) or map(str, range(len(drawn)))
        # Noise is told by its hash: of long clips five draws would fill the memory.
        return tuple(
            Parameter(name, _column(values), None if values.ndim > 1 else values)
            for name, values in zip(names, drawn, strict=True)
        )

    generator = rng.generator(seed, "augment", 0)
    return Drawn(
        sample(generator),
        sample(generator),
        sample(rng.generator(seed, "augment", 1)),
        sample(rng.generator(seed + 1, "augment", 0)),
        sample(rng.generator(seed, "augment", 0)),
    )


def judge_draws(drawn: Drawn) -> Draws:
    """Count repetitions of whole draws, and of each parameter by itself.

    One that is noise may repeat while the others do not.
    """
    first, second, epoch, seed, again = (_columns(each) for each in drawn)
    whole_or_wide = [0, *(i + 1 for i, each in enumerate(drawn.first) if each.values is None)]
    return Draws(
        same_for_all_share=max(_most_common_share(first[i]) for i in whole_or_wide),
        repeated_in_batch_share=max(map(_repeated, first, epoch)),
        same_in_views_share=max(map(_same, first, second)),
        same_in_epochs_share=max(map(_same, first, epoch)),
        same_in_seeds_share=max(map(_same, first, seed)),
        changed_again_share=1 - _equal_share(first[0], again[0]),
    )


def _column(values: Tensor) -> Column:
    # 0 is added, for -0 and 0 are the same draw.
    return [hash(row.add(0).numpy().tobytes()) for row in values]


def _columns(parameters: Sequence[Parameter]) -> list[Column]:
    """A column of all parameters together, then one each."""
    each = [parameter.column for parameter in parameters]
    together: Column = list(zip(*each, strict=True))
    return [together, *each]


def _most_common_share(column: Column) -> float:
    return Counter(column).most_common(1)[0][1] / len(column)


def _equal_share(one: Column, other: Column) -> float:
    return sum(a == b for a, b in zip(one, other, strict=True)) / len(one)


def _chance(one: Column, other: Column) -> float:
    """How often entries of different clips in two independent columns are equal."""
    counts = Counter(other)
    number = len(one)
    equal = sum(counts[entry] for entry in one) - number * _equal_share(one, other)
    return equal / (number * (number - 1))


def _same(one: Column, other: Column) -> float:
    chance, number = _chance(one, other), len(one)
    margin = SIGMAS * math.sqrt((chance * (1 - chance) + 1 / number) / number)
    return _beyond(_equal_share(one, other), chance, margin)


def _repeated(column: Column, independent: Column) -> float:
    """Pairs share clips, so their number scatters as chi-squared and not as a binomial does.

    Source: the margin is the tail bound of Laurent and Massart (2000), lemma 1, for 1 / chance
    equally frequent values; the last term is for so few that they come one by one.
    """
    chance, number = _chance(column, independent), len(column)
    pairs = number * (number - 1) / 2
    equal = sum(count * (count - 1) / 2 for count in Counter(column).values())
    deviation = math.sqrt(2 * chance * (1 - chance))
    margin = (SIGMAS * deviation + SIGMAS**2 * chance) / number + SIGMAS / pairs
    return _beyond(equal / pairs, chance, margin)


def _beyond(share: float, chance: float, margin: float) -> float:
    """By how much a share exceeds chance; 0 where chance may well explain it."""
    return share - chance if share - chance > margin else 0.0


def spreads_of(drawn: Drawn, *, sample_rate: int) -> tuple[Spread, ...]:
    """How each parameter spread over all that was drawn, once each."""
    distinct = drawn.first, drawn.second, drawn.next_epoch, drawn.next_seed
    return tuple(_spread(each, sample_rate) for each in zip(*distinct, strict=True))


def _spread(times: Sequence[Parameter], sample_rate: int) -> Spread:
    """Of one parameter, drawn several times."""
    name = times[0].name
    column = [entry for each in times for entry in each.column]
    counts = len(set(column)), len(column)
    drawn = [each.values for each in times if each.values is not None]
    if not drawn or name in _INDICES:
        return Spread(name, "", *counts, None, None, None)
    numbers = torch.cat(drawn).double() / (sample_rate if name in _IN_SAMPLES else 1)
    three = (float(number) for number in (numbers.min(), numbers.median(), numbers.max()))
    return Spread(name, _UNITS.get(name, ""), *counts, *three)
