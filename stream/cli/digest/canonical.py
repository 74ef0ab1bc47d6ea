"""Windows and incidents in an order that no run decides, and the hashes of their exact bytes.

A record's hash is sha256 of its fields, each behind its length in eight bytes, so that no byte
can pass from one field to the next. A digest is sha256 of its records' hashes in canonical
order. Offsets, partitions and Kafka's timestamps belong to a run and are in neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stream.cli.digest.records import Incident, Odd, Place, Read, Window, alert_of, window_of
from stream.core.records import Header, ModelKey

__all__ = ["Digest", "Found", "Incident", "Place", "Read", "Window", "digest_of", "record_hash"]

_ABSENT = b"\xff" * 8  # in a length's place: null is not the empty text
_DEPLOYMENT = "ce_source"  # names the deployment: another prefix tells the same story


@dataclass(frozen=True, slots=True)
class Found:
    """A record that counts, by what it is, with its hash."""

    what: Window | Incident
    hash: bytes
    place: Place


@dataclass(slots=True)
class Digest:
    """What is to be compared between runs; all in canonical order.

    `moved` are windows that hold rows whose pane had been closed: those that say so, the same
    windows of segments, and later ones that carry such a window's rows. Which rows those are
    depends on the run. `doubled` says what was found twice, which must not be; `odd` are records
    that are no window and no alert, by their places.
    """

    windows: list[Found] = field(default_factory=list)
    incidents: list[Found] = field(default_factory=list)
    moved: list[Found] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    odd: list[Odd] = field(default_factory=list)

    def of_model(self, model: str) -> Digest:
        """The part that is one model's; what is doubled or odd is told of the whole only."""
        windows, incidents, moved = (
            [each for each in part if each.what.model == model] for part in self._parts()
        )
        return Digest(windows, incidents, moved)

    @property
    def models(self) -> list[str]:
        """The models that anything was found of, sorted."""
        return sorted({found.what.model for part in self._parts() for found in part})

    @property
    def hex(self) -> str:
        """Of windows and incidents; those with moved rows are left out."""
        return _together(self.windows, self.incidents)

    @property
    def moved_hex(self) -> str:
        """Of the windows with moved rows."""
        return _together(self.moved)

    def _parts(self) -> tuple[list[Found], list[Found], list[Found]]:
        return self.windows, self.incidents, self.moved


def digest_of(
    windows: Iterable[Read],
    alerts: Iterable[Read],
    *,
    models: Sequence[str] = (),
    from_ms: int | None = None,
    to_ms: int | None = None,
) -> Digest:
    """The digest of these records, the same in whatever order the windows come.

    Of `models`, or of all; of windows that end, and incidents whose last record happened, after
    `from_ms` and not after `to_ms`. An incident's records must come in the order of their
    offsets. A record that is no window, or no alert, is told in `odd` and counts for nothing.
    """

    def wanted(model: str, time_ms: int) -> bool:
        return (
            (not models or model in models)
            and (from_ms is None or time_ms > from_ms)
            and (to_ms is None or time_ms <= to_ms)
        )

    digest = Digest()
    known: dict[Window, tuple[Found, bool, int | None]] = {}
    for read in windows:
        told = window_of(read)
        if isinstance(told, Odd):
            digest.odd.append(told)
            continue
        window, moved, since_ms = told
        if not wanted(window.model, window.end_ms):
            continue
        found = Found(window, record_hash(read.key, read.value), read.place)
        first = known.setdefault(window, (found, moved, since_ms))[0]
        if first is not found:
            digest.doubled.append(_twice(f"window {_said(window)}", first, found))
    _divide(known, digest)
    for found in _last(alerts, digest):
        if isinstance(found.what, Incident) and wanted(found.what.model, found.what.at_ms):
            digest.incidents.append(found)
    digest.incidents.sort(key=lambda each: each.what)
    digest.odd.sort()
    return digest


def record_hash(key: bytes | None, value: bytes | None, headers: Sequence[Header] = ()) -> bytes:
    """sha256 of a record's key, value and headers, in this order; 32 bytes."""
    whole = hashlib.sha256()
    for text in (key, value, *(text for name, told in headers for text in (name.encode(), told))):
        whole.update(_ABSENT if text is None else len(text).to_bytes(8, "big"))
        whole.update(text or b"")
    return whole.digest()


def _together(*parts: Sequence[Found]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        for found in part:
            whole.update(found.hash)
    return whole.hexdigest()


def _divide(known: dict[Window, tuple[Found, bool, int | None]], digest: Digest) -> None:
    """Windows with moved rows apart; those of segments don't say so themselves."""
    whole = {w._replace(segment="") for w, (_, moved, _) in known.items() if moved}
    apart: dict[Window, list[int]] = {}  # a subject's kind, by a window without times
    for window in sorted(known, key=lambda each: (each.end_ms, each)):
        found, moved, since_ms = known[window]
        starts = apart.setdefault(window._replace(start_ms=0, end_ms=0), [])
        carries = since_ms is not None and any(since_ms <= start for start in starts)
        if moved or carries or window._replace(segment="") in whole:
            starts.append(window.start_ms)
            digest.moved.append(found)
        else:
            digest.windows.append(found)
    digest.windows.sort(key=lambda each: each.what)
    digest.moved.sort(key=lambda each: each.what)


def _last(alerts: Iterable[Read], digest: Digest) -> list[Found]:
    """Of each incident its last record; an event that comes twice is told, and what is none."""
    last: dict[str, Found] = {}
    events: dict[str, Found] = {}
    for read in alerts:
        told = alert_of(read)
        if isinstance(told, Odd):
            digest.odd.append(told)
            continue
        event, what = told
        headers = [header for header in read.headers if header[0] != _DEPLOYMENT]
        found = Found(what, record_hash(read.key, read.value, headers), read.place)
        first = events.setdefault(event, found)
        if first is not found:
            digest.doubled.append(_twice(f"alert {event} of incident {what.id}", first, found))
        last[what.id] = found
    return list(last.values())


def _twice(what: str, first: Found, again: Found) -> str:
    how = "the same bytes" if first.hash == again.hash else "other bytes"
    return f"{what}: at {first.place} and at {again.place}, {how}"


def _said(window: Window) -> str:
    segment = f" [{window.segment}]" if window.segment else ""
    model = ModelKey(window.model, window.version)
    return f"{model}{segment} {window.kind} {window.start_ms} - {window.end_ms}"
