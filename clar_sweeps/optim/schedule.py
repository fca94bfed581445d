"""The learning rate of every step, as a pure function of the step."""

import math


def learning_rate_at(step: int, *, base: float, warmup_steps: int, total_steps: int) -> float:
    """Learning rate of optimizer step `step`, the first being 0.

    Rises on a line through `base / (warmup_steps + 1)` at step 0 to `base` at step `warmup_steps`,
    then falls on half a cosine that would reach 0 at step `total_steps`, one after the last.

    Raises:
        ValueError: `warmup_steps` is not in [0, total_steps], or `step` not in [0, total_steps].

    Source: CLAR (arXiv:2010.09542), section 3.2; cosine without restarts of Loshchilov and Hutter
    2016. The authors' code starts at 0, which wastes the first step.
    """
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(
            f"warmup_steps is {warmup_steps}, expected 0 to total_steps = {total_steps}"
        )
    if not 0 <= step <= total_steps:
        raise ValueError(f"step is {step}, expected 0 to total_steps = {total_steps}")
    if step == total_steps:
        return 0.0
    if step < warmup_steps:
        return base * (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return base * 0.5 * (1 + math.cos(math.pi * progress))


def released_learning_rate_at(
    step: int, *, base: float, warmup_steps: int, total_steps: int
) -> float:
    """Learning rate of optimizer step `step`, the first being 0, in the authors' code.

    Rises on a line from 0 at step 0 to `base` at step `warmup_steps - 1`, stays for one step, then
    falls on half a cosine to 0 at step `total_steps`. Later steps rise on the same cosine: the
    authors count floor(clips / batch) steps an epoch, and their loader gives one more where the
    division leaves a rest. Where no step is left for a cosine, the rate stays at `base`; without
    warm-up the first step alone is at 0 (the authors' recursion would never leave it).

    Args:
        step: May exceed `total_steps`.
        base: Peak.
        warmup_steps: Warm-up epochs times counted steps an epoch.
        total_steps: Epochs times counted steps an epoch.

    Raises:
        ValueError: `step` is negative, or `warmup_steps` is not in [0, total_steps].

    Source: LinearWarmupCosineAnnealingLR of pytorch-lightning-bolts 0.2.2, stepped every batch; its
    recursion, which adds and multiplies rates, in closed form.
    """
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(
            f"warmup_steps is {warmup_steps}, expected 0 to total_steps = {total_steps}"
        )
    if step < 0:
        raise ValueError(f"step is {step}, expected at least 0")
    if step == 0:
        return 0.0
    if step < warmup_steps:
        return base * step / (warmup_steps - 1)
    if warmup_steps == total_steps:
        return base
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return base * 0.5 * (1 + math.cos(math.pi * progress))
