"""The values that travel between stages: frozen dataclasses around numpy columns.

Topics are named by their logical name here (`predictions`), never by their name on a broker
(`driftstream.predictions`). Event time is an integer of UTC milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.core.errors import Rejected

if TYPE_CHECKING:
    from stream.core.labels import Labels

__all__ = [
    "CARRIES_COLUMN",
    "CARRIES_FEATURES",
    "CARRIES_PREDICTION",
    "Batch",
    "Claim",
    "Decoded",
    "Group",
    "Header",
    "Int64s",
    "Kind",
    "ModelKey",
    "Output",
    "Overrides",
    "Partial",
    "Progress",
    "RawBatch",
    "RawColumns",
    "Scalar",
    "Served",
    "Slice",
    "Source",
    "Told",
    "Wants",
]

Int64s = npt.NDArray[np.int64]
Scalar = str | int | float | bool | None
RawColumns = dict[str, list[Scalar]]
Header = tuple[str, bytes]

CARRIES_PREDICTION = 1  # bit of Batch.carries: the row is a prediction, counted in `rows`
CARRIES_COLUMN = ""  # the name of the carries bits among a raw group's columns
CARRIES_FEATURES = 2  # bit of Batch.carries: the row has features, counted in `feature_rows`


class ModelKey(NamedTuple):
    """A model and its version; the version is "" where there is none."""

    model: str
    version: str

    def __str__(self) -> str:
        """For people: `credit@3`, or `credit` where there is no version."""
        return self.key if self.version else self.model

    @property
    def key(self) -> str:
        """For records: `model@version`, also where the version is empty."""
        return f"{self.model}@{self.version}"


class Source(NamedTuple):
    """A partition of an input topic, by the topic's logical name."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Records as consumed, in columns of equal length n; offsets ascend within a source.

    `source` indexes `sources` (int32), `offset` and `timestamp_ms` (the broker's) are int64.
    `headers` is None where no record has any. `key(i)` reads a record's key. `ends` are sources
    read to their end here, with the position there; `kept` those whose records came, but wait.
    """

    sources: tuple[Source, ...]
    source: npt.NDArray[np.int32]
    offset: Int64s
    timestamp_ms: Int64s
    values: Sequence[bytes | None]
    headers: Sequence[Sequence[Header] | None] | None
    key: Callable[[int], bytes | None]
    ends: tuple[tuple[Source, int], ...] = ()
    kept: tuple[Source, ...] = ()

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Output:
    """One record to produce. `partition` None leaves the choice to murmur2 of the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """Slots known without binning: three int arrays of equal length (variable, row, slot)."""

    variable: Int64s
    row: Int64s
    slot: Int64s


class Wants(NamedTuple):
    """What a model's rows carry besides variables: `Served`, in it these columns and the JSON."""

    plain: tuple[str, ...] = ()
    bodies: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """What n rows carry besides variables, for the join, for segments and for serving metrics.

    ids            (n, 2) uint64   the key that `ids.ids_of` makes of each prediction_id
    form, bits     (n,) uint8, uint64   the prediction (`labels.label_bits`)
    score          (n,) float64, the score where it is one number, else NaN
    probabilities  n mappings of class to score; None where no row has one
    latency_ms     (n,) float64, NaN where absent; None where no row has one
    error          (n,) bool, the row's status is error; None where no row has a status
    plain          the columns that the model's segments ask for, as sent: a feature's name, or
                   `tags.NAME`, to n scalars; None where a row lacks it
    bodies         n JSON objects, schemas/joined.avsc but for model, version and what labels add,
                   for models with joined output; None where no row's model has that
    """

    ids: npt.NDArray[np.uint64]
    form: npt.NDArray[np.uint8]
    bits: npt.NDArray[np.uint64]
    score: npt.NDArray[np.float64]
    probabilities: Sequence[Mapping[str, float | None] | None] | None = None
    latency_ms: npt.NDArray[np.float64] | None = None
    error: npt.NDArray[np.bool_] | None = None
    plain: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)
    bodies: Sequence[bytes | None] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """n rows of models whose profiles have equal numbers of variables, ready to be binned.

    record         (n,) int32   index of the row's record in the slice
    row            (n,) int32   the row's position within its record (0 unless it is a batch)
    entry          (n,) int32   index into the catalog: which profile the row was decoded by
    event_time_ms  (n,) int64
    carries        (n,) uint8   bits CARRIES_PREDICTION, CARRIES_FEATURES
    numeric        (Fn, n) float64 in the profile's order; NaN where null or absent, ±inf as sent;
                   float32 where all of them were sent as that: they are equal, and half as long
    codes          (Fc, n) int64 slots of the categorical variables (`specs.categorical slots`)
    overrides      values of another type than the profile's, as slots; None where there are none
    unknown        (n,) int32   features that the profile doesn't know; None where all are 0
    served         what else the rows carry; None where nobody asked for it
    """

    record: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    entry: npt.NDArray[np.int32]
    event_time_ms: Int64s
    carries: npt.NDArray[np.uint8]
    numeric: npt.NDArray[np.float64] | npt.NDArray[np.float32]
    codes: npt.NDArray[np.int64]
    overrides: Overrides | None = None
    unknown: npt.NDArray[np.int32] | None = None
    served: Served | None = None

    def __len__(self) -> int:
        return len(self.record)


@dataclass(frozen=True, slots=True)
class RawBatch:
    """n rows of one model as plain values, where no single profile is known to apply.

    `columns` maps a variable's name (`specs.variable names`) to n scalars; a name that a row
    lacks is None there. Categories and numbers alike are what the producer sent.
    """

    model: ModelKey
    record: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]
    event_time_ms: Int64s
    carries: npt.NDArray[np.uint8]
    columns: RawColumns
    served: Served | None = None

    def __len__(self) -> int:
        return len(self.record)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A slice decoded: a record is in a batch or in `labels`, rejected, or (by rows) both."""

    batches: tuple[Batch, ...]
    raw: tuple[RawBatch, ...]
    rejected: tuple[Rejected, ...]
    labels: Labels | None = None


class Kind(IntEnum):
    """What a group's vector counts; the numbers are those on the wire."""

    DATA = 0  # rows in a profile's slots
    SERVING = 1  # answers, errors and latencies (`ledger.SERVING`)
    OUTCOME = 2  # first outcomes in a ledger's places (`ledger.Ledger`)
    CORRECTION = 3  # what later labels changed of outcomes, the same places, also below zero


class Progress(NamedTuple):
    """Input positions of one source before and after one commit (next offsets to read)."""

    source: Source
    before: int
    after: int


class Told(NamedTuple):
    """A watermark that crossed a pane's end, and K = min(its record's timestamp, the clock)."""

    source: Source
    watermark_ms: int
    k_ms: int


class Claim(NamedTuple):
    """A source said to be silent (read to `position`) at the time `at_ms`."""

    source: Source
    position: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one model in one pane and segment since the last commit: counts, or raw values.

    `kind` says what the counts are of; `segment` is "" for all rows. `profile` is the profile's
    hash ("" for raw), of OUTCOME and CORRECTION the ledger's. Exactly one of the three holds the
    rows: `counts`, the profile's or ledger's flat vector (`width` int64; of corrections also
    below zero); `codes`, few rows as indices into that vector, one a counted value; `raw`, the
    columns of a RawBatch and, named CARRIES_COLUMN, the rows' carries bits. `late_rows` came
    after their pane passed. Of corrections `feature_rows` are the outcomes taken out, and `rows`
    may be below zero. `duplicate_rows` are predictions that were there before and aren't
    counted elsewhere; `unkept_rows` are counted, but their labels will find no prediction.
    """

    model: ModelKey
    profile: str
    pane_ms: int
    rows: int
    feature_rows: int
    late_rows: int
    unknown_features: int
    counts: Int64s | None
    raw: RawColumns | None = None
    codes: npt.NDArray[np.unsignedinteger] | None = None
    width: int = 0
    kind: Kind = Kind.DATA
    segment: str = ""
    duplicate_rows: int = 0
    unkept_rows: int = 0

    def count_vector(self) -> Int64s:
        """The group's counts over the profile's slots, dense; all of a binned group's rows."""
        if self.counts is not None:
            return self.counts
        if self.codes is None:
            raise ValueError(f"the group of {self.model} at {self.pane_ms} is raw: bin it first")
        return np.bincount(self.codes, minlength=self.width)


@dataclass(frozen=True, slots=True)
class Partial:
    """What one commit of observe, with panes of `width_ms`, tells one partition of `partials`."""

    width_ms: int
    groups: Sequence[Group]
    progress: tuple[Progress, ...]
    told: tuple[Told, ...]
    claims: tuple[Claim, ...]
