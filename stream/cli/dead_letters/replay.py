"""What is sent again, from the topic or from a file, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stream.cli.dead_letters.letter import Letter, Place, Selection
from stream.cli.dead_letters.lines import Line, lines_in
from stream.cli.dead_letters.log import LetterLog
from stream.cli.dead_letters.original import Original, original_of
from stream.cli.dead_letters.replaying import Replaying
from stream.core.errors import InputError
from stream.settings import Settings

__all__ = ["FromFile", "FromTopic", "Outcome", "Wanted", "send"]

_TOLD = 20


@dataclass(slots=True)
class Outcome:
    """Records sent by topic, letters that had been replayed before, and what was left out."""

    sent: Counter[str] = field(default_factory=Counter)
    before: int = 0
    left_out: int = 0
    why: list[str] = field(default_factory=list)  # of the first ones

    def leave_out(self, why: str) -> None:
        """Counts one that cannot be sent."""
        self.left_out += 1
        if self.left_out <= _TOLD:
            self.why.append(why)


class Wanted(Protocol):
    """What is to be sent."""

    def wants(self, letter: Letter) -> bool:
        """Whether something is to be sent for the letter."""

    def originals(self, letter: Letter) -> Sequence[Original]:
        """What is to be sent for a letter that is wanted. Raises InputError where it cannot be."""

    def missing(self) -> Sequence[str]:
        """What is left when all letters have been asked for."""


@dataclass(frozen=True, slots=True)
class FromTopic:
    """Letters as they are; those of records that were sent again before only where `again`."""

    selection: Selection
    again: bool = False

    def wants(self, letter: Letter) -> bool:
        """Whether the letter is selected."""
        return self.selection.wants(letter) and (self.again or letter.attempt == 1)

    def originals(self, letter: Letter) -> Sequence[Original]:
        """Its record, or the refused rows of it."""
        return (original_of(letter),)

    def missing(self) -> Sequence[str]:
        """Nothing."""
        return ()


class FromFile:
    """Letters as the lines of a file have them; several lines may be of one letter."""

    def __init__(self, path: Path) -> None:
        self._lines: dict[Place, list[Line]] = {}
        for line in lines_in(path):
            self._lines.setdefault(line.place, []).append(line)
        self._unmet = set(self._lines)

    def wants(self, letter: Letter) -> bool:
        """Whether the file has a line of the letter."""
        self._unmet.discard(letter.place)
        return letter.place in self._lines

    def originals(self, letter: Letter) -> Sequence[Original]:
        """What the file's lines say."""
        return [line.original(letter) for line in self._lines[letter.place]]

    def missing(self) -> Sequence[str]:
        """Lines of letters that the topic hasn't got: whether they were replayed, nobody knows."""
        return [f"letter {place}: is not in dead-letters any more" for place in sorted(self._unmet)]


def send(
    settings: Settings, wanted: Wanted, show: Callable[[Original], None] | None = None
) -> Outcome:
    """Sends what is wanted of the letters there are now, and was not sent before.

    With `show` nothing is sent: each record is shown. Raises what `LetterLog` and `Replaying` do.
    """
    outcome = Outcome()
    with Replaying(settings) if show is None else nullcontext() as replaying:
        log = LetterLog(settings)  # only now: an earlier replay can commit nothing more
        done = log.replayed()
        for letter in log.letters():
            if not wanted.wants(letter):
                continue
            if letter.place in done:
                outcome.before += 1
                continue
            try:
                records = wanted.originals(letter)
            except InputError as error:
                outcome.leave_out(f"letter {letter.place} ({letter.source}): {error}")
                continue
            outcome.sent.update(record.topic for record in records)
            if replaying is not None:
                replaying.send(records)
            elif show is not None:
                for record in records:
                    show(record)
        for why in wanted.missing():
            outcome.leave_out(why)
    return outcome
