"""Score: how far a window's counts are from the reference's."""

from stream.core.score.moved import BinShare, bin_shares
from stream.core.score.registry import DEFAULT_SCORE, SCORES, Score
from stream.core.score.scorer import VariableScores, drift_share, score_window

__all__ = [
    "DEFAULT_SCORE",
    "SCORES",
    "BinShare",
    "Score",
    "VariableScores",
    "bin_shares",
    "drift_share",
    "score_window",
]
