"""What a chain has to keep: every rule and threshold of the audit, with its reason."""

from operator import attrgetter
from typing import Any, Literal, NamedTuple

# A peak below is silence: three steps of 16 bits, 80 dB below full scale.
SILENT_PEAK = 1e-4
# Of the samples that are not 0, the share of one sign from which on a waveform counts as rectified.
# Speech, notes and noise lie between 0.5 and 0.7, whatever the operation.
ONE_SIGN = 0.98
# Of the peak. Two ways to the same waveform may round differently: rows that are vocoded together
# differ by 1e-5, a wrong parameter by more than 1e-3.
ROUNDING = 1e-4
# Repeated draws count where they are more than chance explains, by so many standard deviations: of
# a million audits one refuses what is sound.
SIGMAS = 6.0
# What lies further below a clip's loudest point is not heard beside it, and says nothing.
AUDIBLE_DB = 80.0


Subject = Literal["operation", "chain"]


class Rule(NamedTuple):
    """One thing that holds for a sound operation or chain.

    Attributes:
        name: As audit.json and the table have it.
        of: What it is asked of.
        fact: Place of its number in the facts of an operation or a chain.
        at_most: The largest number that is allowed.
        says: What is the matter, with `{}` for the number.
        why: What a larger number means, or why the threshold lies there.
        remedy: What to do.
        unit: `%`: the number is a share; else it follows the number.
        refuses: Whether the sweep is refused, or only told of it.
    """

    name: str
    of: Subject
    fact: str
    at_most: float
    says: str
    why: str
    remedy: str
    unit: str = "%"
    refuses: bool = True

    def is_broken(self, facts: Any) -> bool:
        """Whether the facts of an operation or chain are beyond what is allowed.

        What was not asked for breaks nothing.
        """
        if getattr(facts, "effect", ...) is None and self.fact.startswith("effect."):
            return False
        return not self.value(facts) <= self.at_most

    def value(self, facts: Any) -> float:
        """The rule's number."""
        return float(attrgetter(self.fact)(facts))

    def tell(self, *facts: Any) -> str:
        """What is the matter, how much is allowed, why, and the remedy: one line.

        Args:
            facts: Of one operation or chain, or of all that break the rule.
        """
        values = sorted(map(self.value, facts))
        numbers = dict.fromkeys(self._number(value) for value in (values[0], values[-1]))
        says = self.says.format(" to ".join(numbers))
        allowed = f" (at most {self._number(self.at_most)})" if self.at_most else ""
        return f"{self.name}: {says}{allowed}; {self.why}; {self.remedy}"

    def _number(self, value: float) -> str:
        return f"{100 * value:.3g} %" if self.unit == "%" else f"{value:.3g}{self.unit}"


_CONTRACT = "apply_* must leave its input alone and return a buffer of its own"
_GENERATOR = "let sample_* draw a row for each clip, and from the generator that it is given"

# The first one that is broken is told: what follows from another stands behind it.
RULES: tuple[Rule, ...] = (
    Rule(
        "not finite",
        "operation",
        "levels.nonfinite_share",
        0.0,
        "{} of the clips become NaN or infinite",
        "one of them makes every weight NaN",
        "keep the operation from dividing by 0 or taking the logarithm of 0",
    ),
    Rule(
        "writes into its input",
        "operation",
        "written_share",
        0.0,
        "{} of its input clips are not as before",
        "the second view would start from the first one",
        _CONTRACT,
    ),
    Rule(
        "returns its input",
        "operation",
        "returns_input",
        0.0,
        "its result lies in its input's buffer",
        "what is done next to the view would be done to the clip",
        _CONTRACT,
        unit="",
    ),
    Rule(
        "does nothing",
        "operation",
        "levels.unchanged_share",
        # The authors' time mask leaves half of the clips alone by a coin of its own.
        0.9,
        "it leaves {} of the clips as they are",
        "its cells would be those of no augmentation",
        "let it act, or take clips that are not silent",
    ),
    Rule(
        "repeated for all clips",
        "operation",
        "draws.same_for_all_share",
        # At most half of all clips share a value by right: masks that are filled with silence.
        0.9,
        "{} of the clips of a batch have the same parameters",
        "a batch would be contrasted under one augmentation",
        _GENERATOR,
    ),
    Rule(
        "repeated between views",
        "operation",
        "draws.same_in_views_share",
        0.0,
        "beyond chance {} of the clips have the same parameters in both views",
        "the views would be alike",
        _GENERATOR,
    ),
    Rule(
        "repeated in a batch",
        "operation",
        "draws.repeated_in_batch_share",
        0.0,
        "beyond chance {} of all pairs of clips have the same parameters",
        "workers or blocks of a batch draw the same numbers",
        _GENERATOR,
    ),
    Rule(
        "repeated over epochs",
        "operation",
        "draws.same_in_epochs_share",
        0.0,
        "beyond chance {} of the parameters are the same in two epochs",
        "training would see few augmentations, over and over",
        _GENERATOR,
    ),
    Rule(
        "repeated over seeds",
        "operation",
        "draws.same_in_seeds_share",
        0.0,
        "beyond chance {} of the parameters are the same at two seeds",
        "seeds would be no independent repetitions",
        _GENERATOR,
    ),
    Rule(
        "not repeatable",
        "operation",
        "draws.changed_again_share",
        0.0,
        "{} of the parameters differ when the same seed and epoch are asked for again",
        "a trial that goes on after a kill would be another trial",
        _GENERATOR,
    ),
    Rule(
        "not deterministic",
        "operation",
        "unsteady_share",
        0.0,
        "{} of the clips come out otherwise when the same parameters are applied again",
        "a trial that goes on after a kill would be another trial",
        "draw in sample_* alone, never in apply_*",
    ),
    Rule(
        "rectified waveform",
        "operation",
        "levels.one_sided_share",
        # A fault of this kind shows in nearly all clips; a few have a sound too short to tell.
        0.25,
        "{} of the clips keep samples of one sign only",
        "half of every oscillation is lost",
        "clip to [-1, 1], not to [0, 1]",
    ),
    Rule(
        "DC offset",
        "operation",
        "levels.dc_added",
        # Brown noise at 0 dB adds 0.05 on average, a rectified tone 0.6.
        0.25,
        "its mean moves by {} of the RMS",
        "an offset is no sound, and the 1-D encoder can read it",
        "keep the mean at 0",
        unit="",
    ),
    Rule(
        "silent",
        "operation",
        "levels.silent_share",
        # Stretching or masking may lose a short sound in a clip that is silent but for it.
        0.25,
        "{} of the clips become silent",
        "two silent views are told apart by nothing",
        "narrow its parameters, or choose clips with sound throughout",
    ),
    Rule(
        "not finite",
        "chain",
        "levels.nonfinite_share",
        0.0,
        "{} of the views are NaN or infinite",
        "one of them makes every weight NaN",
        "look for the operation that meets what it is not made for",
    ),
    Rule(
        "writes into its input",
        "chain",
        "contract.written_share",
        0.0,
        "{} of the clips are not as before",
        "the second view would start from the first one",
        "let the chain work on a copy",
    ),
    Rule(
        "shared buffers",
        "chain",
        "contract.shared_buffers",
        0.0,
        "{} of the pairs among the clips and the two views lie in one buffer",
        "what is done to one would be done to the other",
        "return a copy",
        unit="",
    ),
    Rule(
        "identical views",
        "chain",
        "contract.same_views_share",
        # By equal whole semitones 3 % are alike. A fault shows in all.
        0.5,
        "the two views are equal for {} of the clips that they change",
        "NT-Xent is solved by any encoder",
        "draw each view anew, and give augment_probability above 0",
    ),
    Rule(
        "wrong order",
        "chain",
        "contract.other_order_share",
        0.0,
        "{} of the views are what another order of the operations gives",
        "the cell would stand in the wrong row and column",
        "apply the operations as they are written",
    ),
    Rule(
        "wrong probability",
        "chain",
        "contract.other_coins_share",
        0.0,
        "{} of the views have an operation that their coin left out, or lack one",
        "the trial would not be the one that its config tells",
        "act where the coin is below the operation's own probability",
    ),
    Rule(
        "other steps",
        "chain",
        "contract.other_steps_share",
        0.0,
        "{} of the views are not what the operations give one after the other",
        "the trial would not be the one that its config tells",
        "draw parameters and coins operation by operation, and apply each to what the last gave",
    ),
    Rule(
        "repeated over epochs",
        "chain",
        "contract.same_epochs_share",
        # Equal whole semitones in two epochs: 3 % of the clips, at most one or two of the few here.
        0.5,
        "{} of the changed clips have the same view in two epochs",
        "training would see few augmentations, over and over",
        "draw from the epoch's generator",
    ),
    Rule(
        "repeated over seeds",
        "chain",
        "contract.same_seeds_share",
        0.5,
        "{} of the changed clips have the same view at two seeds",
        "seeds would be no independent repetitions",
        "draw from the seed's generator",
    ),
    Rule(
        "not repeatable",
        "chain",
        "contract.changed_again_share",
        0.0,
        "{} of the views differ when the same seed and epoch are asked for again",
        "a trial that goes on after a kill would be another trial",
        "draw from the generator alone",
    ),
    Rule(
        "parts of a batch",
        "chain",
        "contract.changed_in_part_share",
        0.0,
        "{} of the clips come out otherwise in a part of the batch",
        "several ranks would not compute what one does",
        "draw for the whole batch, and take the part's rows of what was drawn",
    ),
    Rule(
        "rectified waveform",
        "chain",
        "levels.one_sided_share",
        0.25,
        "{} of the views keep samples of one sign only",
        "half of every oscillation is lost",
        "clip to [-1, 1], not to [0, 1]",
    ),
    Rule(
        "DC offset",
        "chain",
        "levels.dc_added",
        0.25,
        "the views' mean moves by {} of the RMS",
        "an offset is no sound, and the 1-D encoder can read it",
        "keep the mean at 0",
        unit="",
    ),
    Rule(
        "silent",
        "chain",
        "levels.silent_share",
        0.25,
        "{} of the views are silent",
        "two silent views are told apart by nothing",
        "take out an operation, or choose clips with sound throughout",
    ),
    # Notable, and allowed.
    Rule(
        "often idle",
        "operation",
        "levels.unchanged_share",
        0.2,  # 0 of 31 semitones: 3 %
        "it leaves {} of the clips as they are",
        "the authors' time mask does by a coin of its own, before augment_probability",
        "count that in when cells are compared",
        refuses=False,
    ),
    Rule(
        "some silent",
        "operation",
        "levels.silent_share",
        0.01,
        "{} of the clips become silent",
        "their sounds are short, or late in the clip",
        "compare with shorter clips",
        refuses=False,
    ),
    Rule(
        "clean pairs",
        "chain",
        "both_unchanged_share",
        0.04,  # a pair at probability 0.5: 6 %
        "both views are the clean clip for {} of the clips",
        "NT-Xent learns nothing from such a pair",
        "raise augment_probability, unless that is what the cell tests",
        refuses=False,
    ),
    Rule(
        "some silent",
        "chain",
        "levels.silent_share",
        0.01,
        "{} of the views are silent",
        "their sounds are short, or late in the clip",
        "compare with shorter clips",
        refuses=False,
    ),
    Rule(
        "beyond full scale",
        "chain",
        "levels.clipped_share",
        0.25,
        "{} of the views reach 1 where their clip does not",
        "training reads them as they are, a file of 16 bits would cut them",
        "nothing need be done",
        refuses=False,
    ),
    Rule(
        "order of little effect",
        "chain",
        "effect.same_in_reverse_share",
        0.5,
        "{} of the views are the same in reverse order",
        "the two cells of the matrix measure nearly the same",
        "read their difference with care",
        refuses=False,
    ),
)


def num_refusing() -> int:
    """How many rules a sweep has to keep."""
    return sum(rule.refuses for rule in RULES)


def broken(of: Subject, facts: Any, *, refuses: bool) -> tuple[Rule, ...]:
    """Rules that the facts of an operation or chain break, the most telling first."""
    return tuple(
        rule
        for rule in RULES
        if rule.of == of and rule.refuses == refuses and rule.is_broken(facts)
    )
