"""Statistics over seeds, as pure functions on arrays: docs/statistics.md has the formulas.

Cells of a matrix share their seeds, so that seeds are blocks: whatever is compared is compared
within a seed first, and the seeds are then the independent values of a t-interval.
"""

from analysis.stats.intervals import CONFIDENCE, Estimate, estimate, paired_difference

__all__ = ["CONFIDENCE", "Estimate", "estimate", "paired_difference"]
