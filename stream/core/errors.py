"""What can go wrong: one exception tree for infrastructure and users, one value for bad data.

    DriftstreamError
    ├── ConfigError        a setting, a monitor file or an option is wrong
    ├── SchemaError        a record does not fit its schema (writing side)
    ├── ProfileError       a reference profile cannot be built, read or published
    ├── InputError         a file that a command was given cannot be used
    ├── TopicError         a topic is missing or has the wrong shape
    ├── StateError         stored state and committed offsets disagree
    ├── BrokerError        Kafka cannot be reached or refused something
    │   ├── CredentialsError   Kafka or TLS refuses who we say we are
    │   ├── AccessError        Kafka knows us, and a right is missing
    │   └── FatalBrokerError   the process must end and be started again
    └── BufferFullError    the SDK's buffer is full and `on_full` says raise

Bad *data* is never an exception: it is a `Rejected` value that travels to the dead letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "AccessError",
    "BrokerError",
    "BufferFullError",
    "ConfigError",
    "CredentialsError",
    "DriftstreamError",
    "FatalBrokerError",
    "InputError",
    "ProfileError",
    "Reason",
    "Rejected",
    "SchemaError",
    "StateError",
    "TopicError",
]


class DriftstreamError(Exception):
    """The root of everything this package raises on purpose; its text says what to do."""


class ConfigError(DriftstreamError):
    """A setting, a monitor file or a command's option is wrong."""


class SchemaError(DriftstreamError):
    """A record that we were asked to write does not fit its schema."""


class ProfileError(DriftstreamError):
    """A reference profile cannot be built, read or published."""


class InputError(DriftstreamError):
    """A file that a command was given cannot be read or lacks what is needed."""


class TopicError(DriftstreamError):
    """A topic is missing, or exists with another shape than the deployment needs."""


class StateError(DriftstreamError):
    """A task's restored state and the group's committed offsets disagree."""


class BrokerError(DriftstreamError):
    """Kafka cannot be reached, or refused a request that may succeed later."""


class CredentialsError(BrokerError):
    """Kafka refuses the user, the password or the protocol; or nobody vouches for a certificate."""


class AccessError(BrokerError):
    """Kafka knows who we are and denies what we asked for: an ACL is missing."""


class FatalBrokerError(BrokerError):
    """A client is beyond repair (fenced, or a fatal librdkafka error): end the process."""


class BufferFullError(DriftstreamError):
    """The SDK's buffer is full and its `on_full` setting is `raise`."""


class Reason(StrEnum):
    """Why a record is in the dead letters. Documented in docs/dead-letters.md; never renamed."""

    MALFORMED = "malformed"  # the bytes are not what their format says
    UNKNOWN_FORMAT = "unknown_format"  # no header names a format and the first byte tells none
    SCHEMA_UNKNOWN = "schema_unknown"  # the registry does not know the schema id
    SCHEMA_MISMATCH = "schema_mismatch"  # the schema is known but is not a row of this topic
    MISSING_FIELD = "missing_field"  # a required field is absent
    WRONG_TYPE = "wrong_type"  # a field's value has a type it cannot have
    BAD_ID = "bad_id"  # prediction_id is not a string of 1 to 256 bytes; model or version is longer
    NOT_FINITE_TIME = "not_finite_time"  # event_time_ms is NaN or infinite
    TIME_OUT_OF_RANGE = "time_out_of_range"  # event_time_ms is negative or beyond the year 9999
    EVENT_TIME_IN_FUTURE = "event_time_in_future"  # later than the broker's clock + max_clock_skew
    TOO_MANY_FEATURES = "too_many_features"  # more features in one row than the setting allows
    OVERSIZED = "oversized"  # the record is larger than max_record_bytes, packed or unpacked
    EMPTY = "empty"  # the record has no value (a tombstone)
    WRONG_LABEL = "wrong_label"  # a label that its prediction's model cannot have


@dataclass(frozen=True, slots=True)
class Rejected:
    """One refused record, or some rows of one.

    `record` is its index in the slice. `rows` is empty when the whole record is refused; for a
    batch of rows it lists the refused ones by position, the others having been accepted.
    """

    record: int
    reason: Reason
    detail: str
    rows: tuple[int, ...] = ()
