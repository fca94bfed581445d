"""Statistics over seeds, as pure functions on arrays: docs/statistics.md has the formulas.

Cells of a matrix share their seeds, so that seeds are blocks: whatever is compared is compared
within a seed first, and the seeds are then the independent values of a t-interval.
"""

from analysis.stats.contrasts import LEVEL, Contrasts, contrasts, holm, p_values
from analysis.stats.factorial import (
    MainEffects,
    Margins,
    OrderEffects,
    against_baseline,
    against_mean,
    interactions,
    main_effects,
    margins,
    order_effects,
)
from analysis.stats.intervals import (
    CONFIDENCE,
    NO_SPREAD,
    Counts,
    Estimate,
    Estimates,
    Floats,
    estimate,
    estimates,
    paired_difference,
)
from analysis.stats.ranks import THRESHOLD, RankPath, kendall_tau, rank_path
from analysis.stats.selection import FEWEST_SEEDS, Winner, corrected_estimate, winner
from analysis.stats.with_best import may_be_best, one_sided_quantile

__all__ = [
    "CONFIDENCE",
    "FEWEST_SEEDS",
    "LEVEL",
    "NO_SPREAD",
    "THRESHOLD",
    "Contrasts",
    "Counts",
    "Estimate",
    "Estimates",
    "Floats",
    "MainEffects",
    "Margins",
    "OrderEffects",
    "RankPath",
    "Winner",
    "against_baseline",
    "against_mean",
    "contrasts",
    "corrected_estimate",
    "estimate",
    "estimates",
    "holm",
    "interactions",
    "kendall_tau",
    "main_effects",
    "margins",
    "may_be_best",
    "one_sided_quantile",
    "order_effects",
    "p_values",
    "paired_difference",
    "rank_path",
    "winner",
]
