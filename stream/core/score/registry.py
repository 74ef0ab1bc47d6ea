"""Every score by its name. A new one is a file with its function, and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stream.core.score import ratios
from stream.core.score.binned import Binned, Floats
from stream.core.score.chi2 import chi2
from stream.core.score.hellinger import hellinger
from stream.core.score.js import js
from stream.core.score.ks import ks
from stream.core.score.psi import psi
from stream.core.score.wasserstein import wasserstein

__all__ = ["DEFAULT_SCORE", "SCORES", "Score"]


@dataclass(frozen=True, slots=True)
class Score:
    """A score's function, the value above which it says drifted, and the kinds it applies to.

    The function takes V variables' counts and returns V values: 0 without any difference,
    larger with more, finite, from counts alone, the same for every order of rows. Values for
    variables of a kind it doesn't apply to are ignored.
    """

    of: Callable[[Binned], Floats]
    threshold: float
    numeric: bool = True
    categorical: bool = True

    def applies(self, *, numeric: bool) -> bool:
        """True if it can be told of a numeric, or else of a categorical, variable."""
        return self.numeric if numeric else self.categorical


DEFAULT_SCORE = "psi"

SCORES: dict[str, Score] = {
    "psi": Score(psi, threshold=0.2),
    "js": Score(js, threshold=0.18),
    "hellinger": Score(hellinger, threshold=0.16),
    "chi2": Score(chi2, threshold=60.0),
    "ks": Score(ks, threshold=0.15, categorical=False),
    "wasserstein": Score(wasserstein, threshold=0.3, categorical=False),
    "missing_ratio": Score(ratios.missing_ratio, threshold=0.1),
    "missing_change": Score(ratios.missing_change, threshold=0.1),
    "mistyped_ratio": Score(ratios.mistyped_ratio, threshold=0.01),
    "mistyped_change": Score(ratios.mistyped_change, threshold=0.01),
    "out_of_range_ratio": Score(ratios.out_of_range_ratio, threshold=0.05, categorical=False),
    "out_of_range_change": Score(ratios.out_of_range_change, threshold=0.05, categorical=False),
    "unseen_ratio": Score(ratios.unseen_ratio, threshold=0.05, numeric=False),
    "unseen_change": Score(ratios.unseen_change, threshold=0.05, numeric=False),
}
