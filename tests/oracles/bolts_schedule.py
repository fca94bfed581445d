"""Warm-up and cosine by the recursion of bolts 0.2.2, one step from the one before."""

import math


def bolts_learning_rates(
    num_steps: int, *, base: float, warmup_steps: int, total_steps: int
) -> list[float]:
    """Rates of the first `num_steps` steps, which may go beyond `total_steps`."""
    decay_steps = total_steps - warmup_steps
    rates = [0.0]
    for step in range(1, num_steps):
        if step < warmup_steps:
            rates.append(rates[-1] + base / (warmup_steps - 1))
        elif step == warmup_steps:
            rates.append(base)
        elif (step - 1 - total_steps) % (2 * decay_steps) == 0:
            rates.append(rates[-1] + base * (1 - math.cos(math.pi / decay_steps)) / 2)
        else:
            now = 1 + math.cos(math.pi * (step - warmup_steps) / decay_steps)
            before = 1 + math.cos(math.pi * (step - warmup_steps - 1) / decay_steps)
            rates.append(now / before * rates[-1])
    return rates
