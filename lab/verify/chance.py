"""How probable it is that random bytes look like this: upper bounds, in closed form.

Bounds instead of exact values keep the false alarm rate below what is claimed, whatever the size of a capture. They
cost a little power, which captures have in plenty.
"""

from __future__ import annotations

import math
from typing import Final

FALSE_ALARMS: Final = 1e-6
"""How often the blind half may call random bytes something else: once in a million captures."""

CANARY_SHARE: Final = 2e-7
COLUMN_SHARE: Final = 3e-7
BYTES_SHARE: Final = 1e-7
BITS_SHARE: Final = 1e-7
"""What each test may use up of it. Repeated blocks need no share: two in 2^40 would be one alarm in 2^48 captures."""


def binomial_tail(trials: int, hits: int, probability: float) -> float:
    """Bound the probability of at least so many hits (Chernoff)."""
    share = hits / trials if trials else 0.0
    if share <= probability:
        return 1.0
    divergence = share * math.log(share / probability)
    if share < 1:
        divergence += (1 - share) * math.log((1 - share) / (1 - probability))
    return math.exp(-trials * divergence)


def poisson_tail(expected: float, hits: int) -> float:
    """Bound the probability of at least so many rare events (Chernoff)."""
    if hits <= expected:
        return 1.0
    return math.exp(hits - expected + hits * math.log(expected / hits)) if expected > 0 else 0.0


def chi_squared_tails(statistic: float, freedom: int) -> float:
    """Bound the probability of being so far off on either side (Laurent and Massart 2000, lemma 1)."""
    if statistic > freedom:
        root = (math.sqrt(2 * statistic - freedom) - math.sqrt(freedom)) / 2
        return min(1.0, 2 * math.exp(-(root**2)))
    return min(1.0, 2 * math.exp(-((freedom - statistic) ** 2) / (4 * freedom)))
