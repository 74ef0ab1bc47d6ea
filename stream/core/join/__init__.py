"""Join: predictions meet their labels, late, early, twice or corrected.

`JoinBuffer` keeps a worker's pending predictions and waiting labels, all tasks' together, and
decides each pair by the rule of the design's table.
"""

from stream.core.join.buffer import JoinBuffer, JoinRules, LabelsJoined, PredictionsJoined
from stream.core.join.events import JoinEvent, Tally

__all__ = [
    "JoinBuffer",
    "JoinEvent",
    "JoinRules",
    "LabelsJoined",
    "PredictionsJoined",
    "Tally",
]
