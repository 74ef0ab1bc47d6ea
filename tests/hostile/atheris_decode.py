"""Coverage-guided fuzzing of the decoders, by Atheris: `make fuzz`.

    python -m tests.hostile.atheris_decode FOLDER [libFuzzer's options, such as -max_total_time=60]

FOLDER is the corpus: it is filled with one record of each kind first, and grows. A file in its
place, such as one that was found, is run by itself. The first byte of an input chooses topic and
headers, the rest is the record's value. A finding is any exception, a record that ends in no place
or in two, and more memory than `-rss_limit_mb`.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

__all__ = ["main"]

_TOPICS = ("predictions", "features", "labels")
_HEADERS: tuple[tuple[tuple[str, bytes], ...], ...] = (
    (),
    (("content-type", b"application/json"),),
    (("content-type", b"application/avro"), ("schema", b"prediction")),
    (("content-type", b"application/avro"), ("schema", b"label")),
    (("content-type", b"application/avro"),),
    (("content-type", b"application/vnd.apache.arrow.stream"),),
)


def main(arguments: list[str]) -> None:
    """Fuzzes until a finding, or as long as the options say."""
    import atheris

    with atheris.instrument_imports(include=["stream.core"]):
        from tests.decode_labels import seen
        from tests.decode_rows import decoder, profile, rows_of, slice_of

    known = profile()
    decoders = (decoder(), decoder(known))

    def one(data: bytes) -> None:
        if len(data) < 2:
            return
        topic = _TOPICS[data[0] % len(_TOPICS)]
        headers = _HEADERS[data[0] // len(_TOPICS) % len(_HEADERS)]
        slice_ = slice_of([data[1:]], topic, headers=[headers])
        for decode in decoders:
            found = decode.decode(slice_)
            rows = [row for _, row in rows_of(found, known)] + [r for _, r in seen(found.labels)]
            refused = [row for each in found.rejected for row in each.rows or (-1,)]
            assert rows or refused, "the record is in no place"
            assert not set(rows) & set(refused), "a row is in two places"
            assert -1 not in refused or not rows, "a refused record has rows"

    if not Path(arguments[0]).is_file():
        fill(Path(arguments[0]))
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def fill(folder: Path) -> None:
    """Writes one input of each kind of record."""
    from tests.hostile.seeds import seeds

    folder.mkdir(parents=True, exist_ok=True)
    for topic, headers, value in seeds():
        known = _HEADERS.index(tuple(headers)) if tuple(headers) in _HEADERS else 0
        choice = _TOPICS.index(topic) + len(_TOPICS) * known
        data = bytes([choice]) + value
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1:])
