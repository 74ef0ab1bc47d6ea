"""Sources that are read behind another one: their records wait until it has been read as far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.core.records import Int64s
from stream.engine.fetched import Fetched

__all__ = ["Followers", "Sorted"]

_MOST_BYTES = 32 * 1024 * 1024
_MESSAGE_BYTES = 384  # of a message besides its value: the object, its topic, its key
_SILENT_SECONDS = 3.0  # of fetching alone: a fetch of all partitions may take more than one
_NOTHING, _EVERYTHING = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_ANYTHING = _NOTHING + 1  # what need not wait for its leader: only a pause holds it

_End = tuple[int, int]  # of a place, at an offset


class Sorted(NamedTuple):
    """What goes on, the ends among it, and the places whose records came and are kept."""

    fetched: Fetched
    ends: list[_End]
    kept: list[int]


class Followers:
    """What is kept back of sources that follow a leader, so that both go on in append order.

    A follower's record goes on once its leader was read to a record with the same or a later
    timestamp of the broker, and before that where nothing of the leader is to be waited for:
    it is at its end, isn't read, is paused, or gave nothing in three seconds of fetching. Where
    producers set the timestamps of either one, they say nothing of the order, and nothing waits.
    Within a source nothing overtakes. What is kept is bounded: beyond 32 MB its sources are to be
    paused.

    It decides nothing but memory and time: whoever reads must not depend on the order of topics.
    `leaders` are the places that each place follows, -1 for none.
    """

    def __init__(self, leaders: Sequence[int]) -> None:
        count = len(leaders)
        self._leader = np.array(leaders, dtype=np.int64)
        self._following = np.flatnonzero(self._leader >= 0)
        self._mark = np.full(count, _ANYTHING, dtype=np.int64)
        self._idle = np.ones(count, dtype=np.bool_)  # isn't read, or was read to its end
        self._heard = np.zeros(count)
        self._stopped = np.zeros(count, dtype=np.bool_)
        self._queues: dict[int, _Queue] = {}
        self._ends: dict[int, int] = {}
        self._seconds = 0.0  # of fetching, so far
        self._full = False

    def begin(self, place: int) -> None:
        """A source is read from now on, or anew: what was kept of it will be fetched again."""
        self.end(place)
        self._idle[place] = False
        self._heard[place] = self._seconds

    def end(self, place: int) -> None:
        """A source is read no more; what is kept of it is given up."""
        self._queues.pop(place, None)
        self._ends.pop(place, None)
        self._mark[place] = _ANYTHING
        self._idle[place] = True

    def stop(self, places: Iterable[int]) -> None:
        """These sources, and no others, are paused: nothing of them goes on."""
        before = self._stopped
        self._stopped = np.zeros_like(before)
        self._stopped[list(places)] = True
        self._heard[before & ~self._stopped] = self._seconds  # to be waited for again

    @property
    def waiting(self) -> bool:
        """Whether anything is kept."""
        return bool(self._queues)

    def ready(self) -> int:
        """How many kept records may go on now."""
        if not self._queues:
            return 0
        limit = self._limits()
        return sum(queue.ready(int(limit[place])) for place, queue in self._queues.items())

    def spent(self, seconds: float) -> None:
        """So long it took to fetch what `sort` is told next, or to learn that there is nothing."""
        self._seconds += seconds

    def crowding(self) -> list[int]:
        """The sources to be paused now, for too much is kept, until less than half of it is."""
        kept = sum(queue.bytes for queue in self._queues.values())
        self._full = kept > (_MOST_BYTES // 2 if self._full else _MOST_BYTES)
        return list(self._queues) if self._full else []

    def sort(self, fetched: Fetched, ends: list[_End], most: int) -> Sorted:
        """What goes on of these records, and behind them of those kept, up to `most` in all.

        `ends` are sources read to their end, after these records; where records are kept, the
        end is too. Of what comes fresh nothing is kept back for `most`.
        """
        place = fetched.place
        np.maximum.at(self._mark, place, _stamps(fetched, _EVERYTHING))
        self._idle[place] = False
        self._heard[place] = self._seconds
        for ended, _ in ends:
            self._idle[ended] = True
        limit = self._limits()
        late = _stamps(fetched, _ANYTHING) > limit[place]
        if not (self._queues or late.any()):
            return Sorted(fetched, ends, [])
        waits = np.zeros(len(self._leader), dtype=np.bool_)
        waits[place[late]] = True
        waits[list(self._queues)] = True
        kept = waits[place]
        fresh = np.unique(place[kept]).tolist()
        self._keep(fetched, np.flatnonzero(kept))
        if fresh:
            fetched = fetched.pick(np.flatnonzero(~kept))
        self._ends.update(end for end in ends if end[0] in self._queues)
        ends = [end for end in ends if end[0] not in self._queues]
        fetched = fetched.then(self._release(limit, most - len(fetched), ends))
        return Sorted(fetched, ends, [each for each in fresh if each in self._queues])

    def _limits(self) -> Int64s:
        """The largest timestamp that may go on, a place."""
        waived = self._idle | self._stopped | (self._seconds - self._heard >= _SILENT_SECONDS)
        limit = np.full(len(self._leader), _EVERYTHING, dtype=np.int64)
        leader = self._leader[self._following]
        limit[self._following] = np.where(waived[leader], _EVERYTHING, self._mark[leader])
        limit[self._following[self._stopped[self._following]]] = _NOTHING
        return limit

    def _keep(self, fetched: Fetched, which: npt.NDArray[np.intp]) -> None:
        place = fetched.place[which]
        order = np.argsort(place, kind="stable")
        which, place = which[order], place[order]
        for part in np.split(which, np.flatnonzero(np.diff(place)) + 1):
            if len(part):
                source = int(fetched.place[part[0]])
                self._queues.setdefault(source, _Queue()).put(fetched.pick(part))
                self._ends.pop(source, None)

    def _release(self, limit: Int64s, most: int, ends: list[_End]) -> list[Fetched]:
        """Takes out what may go on; adds to `ends` those of sources of which nothing is left."""
        released: list[Fetched] = []
        for place, queue in list(self._queues.items()):
            taken = queue.take(int(limit[place]), most)
            released += taken
            most -= sum(map(len, taken))
            if not queue.parts:
                del self._queues[place]
                if place in self._ends:
                    ends.append((place, self._ends.pop(place)))
        return released


@dataclass(slots=True)
class _Queue:
    """Kept records of one source in parts, each with the timestamps that it must wait for.

    Such a timestamp is the largest one up to the record, so that nothing overtakes.
    """

    parts: deque[tuple[Fetched, Int64s, int]] = field(default_factory=deque)  # and its bytes
    bar: int = _NOTHING
    bytes: int = 0

    def put(self, fetched: Fetched) -> None:
        """Adds records at the end."""
        bar: Int64s = np.maximum.accumulate(_stamps(fetched, _ANYTHING))
        np.maximum(bar, self.bar, out=bar)
        size = _bytes(fetched)
        self.parts.append((fetched, bar, size))
        self.bar, self.bytes = int(bar[-1]), self.bytes + size

    def ready(self, limit: int) -> int:
        """How many records need not wait for more than this timestamp."""
        count = 0
        for _, bar, _ in self.parts:
            passing = int(np.searchsorted(bar, limit, "right"))
            count += passing
            if passing < len(bar):
                break
        return count

    def take(self, limit: int, most: int) -> list[Fetched]:
        """Takes out the first ones, up to `most`, that need not wait for more than this."""
        taken: list[Fetched] = []
        while self.parts and most > 0:
            fetched, bar, size = self.parts[0]
            count = min(most, int(np.searchsorted(bar, limit, "right")))
            if not count:
                break
            if count == len(fetched):
                self.parts.popleft()
            else:
                rest, fetched = fetched.cut(count, len(fetched)), fetched.cut(0, count)
                left = _bytes(rest)
                self.parts[0] = rest, bar[count:], left
                size -= left
            taken.append(fetched)
            most -= count
            self.bytes -= size
        return taken


def _stamps(fetched: Fetched, other: int) -> Int64s:
    """When the broker took the records, (n,); something else where it doesn't say."""
    return np.where(fetched.appended, fetched.timestamp_ms, other)


def _bytes(fetched: Fetched) -> int:
    return sum(map(len, fetched.messages)) + _MESSAGE_BYTES * len(fetched)
