"""The partials of a slice: what isn't one is counted and left out, another pane's is an error."""

from __future__ import annotations

from collections.abc import Collection

from stream import schemas
from stream.agents.detect.observer import DetectObserver
from stream.agents.detect.refusing import RefusedPartials
from stream.core.errors import StateError
from stream.core.pane.partial import decode_partial
from stream.core.pane.sense import require_sense
from stream.core.records import Partial, Slice, Source

__all__ = ["Reading"]


class Reading:
    """Decodes partials; a slice that is asked for again isn't decoded again."""

    def __init__(self, pane_ms: int, observer: DetectObserver) -> None:
        self._pane_ms = pane_ms
        self._observer = observer
        self._refused = RefusedPartials()
        self._schema = schemas.schema("pane_partial")
        self._last: tuple[Slice, list[tuple[int, Partial]]] | None = None

    def forget(self) -> None:
        """Lets go of the last slice."""
        self._last = None

    def partials(self, slice_: Slice, tasks: Collection[int]) -> list[tuple[int, Partial]]:
        """The partials of these tasks with their tasks; what cannot be read is left out.

        Raises StateError for a partial that a worker of another release, or with another
        `pane`, wrote: going past it would lose its rows.
        """
        if self._last is not None and self._last[0] is slice_:
            return self._last[1]
        found = []
        places = zip(slice_.source.tolist(), slice_.offset.tolist(), slice_.values, strict=True)
        for place, offset, value in places:
            source = slice_.sources[place]
            if source.partition not in tasks:
                continue
            partial = self._partial(source, offset, value or b"")
            if partial is not None:
                found.append((source.partition, partial))
        self._last = (slice_, found)
        return found

    def _partial(self, source: Source, offset: int, value: bytes) -> Partial | None:
        try:
            partial = decode_partial(value, self._schema)
            require_sense(partial)
        except StateError as error:
            raise StateError(
                f"{source.topic} {source.partition} offset {offset}: {error}"
            ) from None
        except Exception as error:  # noqa: BLE001  # whatever stands there, the worker goes on
            self._refused.say(source, offset, error)
            self._observer.refused(source.topic)
            return None
        if partial.width_ms != self._pane_ms:
            raise StateError(
                f"{source.topic} {source.partition} offset {offset}: observe counts in panes of "
                f"{partial.width_ms}ms, and this worker's setting `pane` is {self._pane_ms}ms. "
                "Give all workers the same `pane`; where it was observe's that was wrong, stop "
                "them, run `driftstream state reset observe`, and pass over what it counted by "
                "`driftstream state reset detect --to latest`"
            )
        return partial
