"""Rows read one by one (JSON, Avro) are checked together and put into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import attrgetter, call
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from stream.core.decode.checks import Bad, checked
from stream.core.decode.fields import RefusedError
from stream.core.decode.limits import DecodeLimits
from stream.core.decode.plan import Plan, Reader, Shape
from stream.core.decode.plans import NO_PLAN, Plans
from stream.core.decode.rows import LACKS_FEATURES, Rows, plain_batches, without
from stream.core.decode.serve import Fields, Serving, with_served
from stream.core.decode.stack import Planned, batch_of, columns_of, feature_of
from stream.core.decode.text import drain, plain_features
from stream.core.decode.values import Values
from stream.core.errors import Reason, Rejected
from stream.core.records import CARRIES_FEATURES, Batch, Int64s, RawBatch

__all__ = ["Assembled", "Parsed", "assemble"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """Envelopes in ascending order of their records.

    carries        (n,) uint8  what a row of its topic carries, features apart
    timestamp_ms   (n,) int64  the broker's clock
    dicts          features are dicts, not text
    whole          the reader that read the features too, in one pass, or None
    texts          the slice's values, None where `dicts`
    """

    record: npt.NDArray[np.int32]
    envelopes: Sequence[Any]
    carries: npt.NDArray[np.uint8]
    timestamp_ms: Int64s
    dicts: bool = False
    whole: Reader | None = None
    texts: Sequence[bytes | None] | None = None


@dataclass(slots=True)
class Assembled:
    """What became of the rows; `only` is the reader of all of them, if there is just one.

    `misread` is true, and all else void, where `Parsed.whole` was the wrong reader for any row.
    """

    batches: list[Batch] = field(default_factory=list)
    raw: list[RawBatch] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    only: Reader | None = None
    misread: bool = False


def assemble(parsed: Parsed, plans: Plans, values: Values, limits: DecodeLimits) -> Assembled:
    """Batches, raw batches and rejections of the rows, each in the records' order."""
    done = Assembled()
    if not parsed.envelopes:
        return done
    fields = Fields(*columns_of(parsed.envelopes, len(Fields._fields)))
    rows, bad = _checked(parsed, fields, plans, limits)
    if parsed.whole is not None and not plans.all_by(parsed.whole, rows.entry):
        done.misread = True
        return done
    serving = None
    if plans.serving:
        predicted = parsed.carries.astype(np.bool_)
        serving = Serving(parsed.record, predicted, fields, parsed.texts, plans, values)
    rows = without(rows, bad, done.rejected)
    unplanned = rows.entry == NO_PLAN
    if unplanned.any():
        raw = plain_batches(rows.keep(unplanned), limits, done.rejected)
        done.raw.extend(raw if serving is None else [with_served(each, serving) for each in raw])
        rows = rows.keep(~unplanned)
    if not len(rows.record):
        return done
    one = bool((rows.entry == rows.entry[0]).all())
    own = [plans.plan(int(rows.entry[0]))] if one else plans.plans_of(rows.entry)
    if parsed.whole is not None:
        read = _rest_of(rows.features, parsed.whole)
    else:
        readers = [p.reader.convert if parsed.dicts else p.reader.read for p in own]
        if one:
            read = drain(map(readers[0], rows.features))
        else:
            read = drain(map(call, readers, rows.features))
    _planned_rows(rows, own, *read, limits, serving, done)
    if done.raw:
        done.only = None
    return done


def _checked(
    parsed: Parsed, fields: Fields, plans: Plans, limits: DecodeLimits
) -> tuple[Rows, Bad]:
    """All rows, with the catalog's entry that reads each, and what is wrong with envelopes."""
    ids, models, times, versions, features, predictions, scores, *_ = fields
    event_time_ms, bad = checked(ids, times, parsed.timestamp_ms, limits)
    if dict in set(map(type, scores)):
        for i, score in enumerate(scores):
            if isinstance(score, dict) and len(score) > limits.max_features:
                detail = f"score: {len(score)} classes; at most {limits.max_features}"
                bad.setdefault(i, (Reason.TOO_MANY_FEATURES, detail))
    entries = plans.entries_of(models, versions, event_time_ms)
    rows = Rows(
        parsed.record, parsed.carries, event_time_ms, entries,
        models, versions, features, predictions, scores,
    )  # fmt: skip
    return rows, bad


def _planned_rows(
    rows: Rows,
    own: Sequence[Plan],
    features: Sequence[Any],
    refused: list[int],
    limits: DecodeLimits,
    serving: Serving | None,
    done: Assembled,
) -> None:
    """Batches of rows that were read by their plans, one for each shape."""
    unknown = None
    noted = {own[i] for i in refused} if len(own) > 1 else set(own)
    if refused or not all(features) or not rows.carries.all():
        rows, own, features, unknown = _settle(rows, own, features, refused, limits, done)
        if not len(rows.record):
            return
    else:
        rows.carries |= CARRIES_FEATURES
    unique = dict.fromkeys(own)
    readers = set(map(attrgetter("reader"), unique))
    done.only = readers.pop() if len(readers) == 1 else None
    shapes = dict.fromkeys(map(attrgetter("shape"), unique))
    for shape in shapes:
        if len(shapes) == 1:
            part = _planned(rows, own, features, unknown)
            done.batches.append(_batch(shape, part, rows.models, serving))
            break
        mask = np.array([plan.shape == shape for plan in own], dtype=np.bool_)
        flags = mask.tolist()
        kept = rows.keep(mask)
        part = _planned(
            kept,
            list(compress(own, flags)),
            list(compress(features, flags)),
            None if unknown is None else unknown[mask],
        )
        done.batches.append(_batch(shape, part, kept.models, serving))
    if refused:
        for plan in noted:
            plan.learn()


def _batch(shape: Shape, rows: Planned, models: Sequence[str], serving: Serving | None) -> Batch:
    if serving is None:
        return batch_of(shape, rows)
    served = serving.served(rows.record, models, lambda name: feature_of(rows, name))
    return batch_of(shape, rows, served)


def _settle(
    rows: Rows,
    own: Sequence[Plan],
    features: Sequence[Any],
    refused: list[int],
    limits: DecodeLimits,
    done: Assembled,
) -> tuple[Rows, Sequence[Plan], Sequence[Any], npt.NDArray[np.int32] | None]:
    """What the fast road left open: refused features, none at all, and rows of `features`."""
    settled = list(features)
    one = len(own) == 1
    unknown = np.zeros(len(settled), dtype=np.int32)
    bad: Bad = {}
    for i in refused:
        plan = own[0 if one else i]
        try:
            plain = plain_features(rows.features[i], limits.max_features)
        except RefusedError as error:
            bad[i] = error.refusal
            continue
        if plain is not None:
            plan.note(plain)
            settled[i], unknown[i] = plan.loose(plain)
    has = np.fromiter(map(bool, settled), dtype=np.bool_, count=len(settled))
    for i in np.flatnonzero(~has).tolist():
        if rows.carries[i]:
            settled[i] = own[0 if one else i].reader.empty
        elif i not in bad:
            bad[i] = LACKS_FEATURES
    rows = _blanked(rows)
    rows.carries = rows.carries | (has * np.uint8(CARRIES_FEATURES))
    if bad:
        mask = np.ones(len(settled), dtype=np.bool_)
        mask[list(bad)] = False
        flags = mask.tolist()
        rows = without(rows, bad, done.rejected)
        settled = list(compress(settled, flags))
        own = own if one else list(compress(own, flags))
        unknown = unknown[mask]
    return rows, own, settled, unknown if unknown.any() else None


def _blanked(rows: Rows) -> Rows:
    """A row of the features topic carries nothing but features, whatever else it holds."""
    if rows.carries.all():
        return rows
    carries = rows.carries.tolist()
    rows.predictions = [p if c else None for p, c in zip(rows.predictions, carries, strict=True)]
    rows.scores = [s if c else None for s, c in zip(rows.scores, carries, strict=True)]
    return rows


def _planned(
    rows: Rows,
    plans: Sequence[Plan],
    features: Sequence[Any],
    unknown: npt.NDArray[np.int32] | None,
) -> Planned:
    return Planned(
        record=rows.record,
        row=np.zeros(len(rows.record), dtype=np.int32),
        entry=rows.entry,
        event_time_ms=rows.event_time_ms,
        carries=rows.carries,
        plans=plans,
        features=features,
        predictions=rows.predictions,
        scores=rows.scores,
        unknown=unknown,
    )


def _rest_of(features: Sequence[Any], reader: Reader) -> tuple[Sequence[Any], list[int]]:
    """The features, also of rows that the one-pass reader refused; the places still refused."""
    unread = {msgspec.Raw, dict}
    if unread.isdisjoint(map(type, features)):
        return features, []
    places = [i for i, value in enumerate(features) if type(value) in unread]
    read, refused = drain(map(reader.read, [features[i] for i in places]))
    whole = list(features)
    for i, value in zip(places, read, strict=True):
        whole[i] = value
    return whole, [places[i] for i in refused]
