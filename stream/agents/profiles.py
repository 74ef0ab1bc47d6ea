"""Profiles as agents hear them on the broadcast topic: bad ones are reported, never raised."""

from __future__ import annotations

import logging

from stream import schemas
from stream.core.catalog import Profiles
from stream.core.errors import ProfileError, SchemaError
from stream.core.pane.reference import profile_from_record
from stream.core.specs import Profile
from stream.engine.agent import Broadcast

__all__ = ["hear_profile"]

_log = logging.getLogger(__name__)


def hear_profile(profiles: Profiles, record: Broadcast, pane_ms: int) -> bool:
    """Takes one record of `profiles` in; False, and a line in the log, where it was refused."""
    if record.value is None:
        return True
    try:
        profile = profile_from_record(schemas.decode_json("reference_profile", record.value))
    except (SchemaError, ProfileError) as error:
        _log.warning("profiles: the record at offset %d is refused: %s", record.offset, error)
        return False
    refusal = _unfit(profile, pane_ms) or profiles.hear(profile)
    if refusal is not None:
        _log.warning("profiles: the record at offset %d is refused: %s", record.offset, refusal)
    return refusal is None


def _unfit(profile: Profile, pane_ms: int) -> str | None:
    """Why no row could be counted by the profile, or not by its pane alone; None if all is well."""
    if not profile.variables:
        return f"the profile {profile.hash} of {profile.model} has no variables"
    if profile.effective_from_ms % pane_ms:
        return (
            f"effective_from_ms {profile.effective_from_ms} of {profile.model} is no pane's "
            f"start (panes of {pane_ms} ms): publish it with `driftstream profile publish`"
        )
    return None
