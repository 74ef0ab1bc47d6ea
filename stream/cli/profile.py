"""`driftstream profile`: build a reference profile from a table, look at it, publish it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from stream import schemas
from stream.adapters.kafka.compacted import publish as publish_records
from stream.adapters.profiles import Moment, publication
from stream.cli.deployment import all_profiles, has_windows, monitors_of, parse_time
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import instant, print_json, say
from stream.cli.profile_build import build
from stream.cli.profile_view import print_profile, print_profiles
from stream.cli.reading import connection
from stream.core.errors import InputError, ProfileError, SchemaError
from stream.core.pane.reference import (
    profile_from_record,
    profile_key,
    profile_to_record,
)
from stream.core.specs import Profile
from stream.settings import Settings
from stream.topics import real_name

__all__ = ["app"]

app = new_app("Build, show and publish reference profiles.")
app.command()(build)

ProfileFile = Annotated[Path, typer.Argument(help="A profile that `build` has written.")]


@app.command()
@with_settings
def show(
    settings: Settings,
    file: Annotated[Path | None, typer.Argument(help="A profile's file; else the topic.")] = None,
    *,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Of this model.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Of this version.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show a profile's file, or the published and warmed-up profiles of a model.

    Without file and model the profiles of the topic are listed.
    """
    if file is not None:
        profiles: Sequence[Profile] = (_read(file),)
    else:
        profiles = [
            profile
            for profile in all_profiles(settings)
            if model in (None, profile.model.model) and version in (None, profile.model.version)
        ]
    if json:
        for profile in profiles:
            print_json(profile_to_record(profile))
    elif file is None and model is None:
        print_profiles(profiles)
    elif not profiles:
        raise ProfileError(f"no profile of {model} was published or warmed up yet")
    else:
        for profile in profiles:
            print_profile(profile)


@app.command()
@with_settings
def publish(
    settings: Settings,
    file: ProfileFile,
    *,
    effective_from: Annotated[
        str | None, typer.Option(help="A later window boundary, as 2026-12-01T00:00Z.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and tell only.")] = False,
) -> None:
    """Publish a profile: at once where the model@version has no windows yet.

    Else it applies from the first window boundary that no row has passed. A profile is
    immutable: another one for the same model@version is refused.
    """
    profile = _read(file)
    moment = Moment(
        now_ms=time.time_ns() // 1_000_000,
        time=settings.time,
        changes=monitors_of(settings, profile.model.model),
        has_windows=has_windows(settings, profile.model),
    )
    asked = None if effective_from is None else parse_time(effective_from)
    wanted = publication(profile, all_profiles(settings), moment, asked)
    if wanted is None:
        say(f"{profile.model}: profile {profile.hash} is published already; nothing to do")
        return
    since = f"from {instant(wanted.effective_from_ms)}" if wanted.effective_from_ms else "at once"
    if dry_run:
        say(f"{profile.model}: profile {profile.hash} would apply {since} (dry run)")
        return
    value = schemas.encode_json("reference_profile", profile_to_record(wanted))
    topic = real_name(settings.topic_prefix, "profiles")
    publish_records(connection(settings, "profile"), topic, {profile_key(wanted): value})
    _refuse_beaten(wanted, all_profiles(settings))
    say(f"{profile.model}: profile {profile.hash} is published and applies {since}")


def _refuse_beaten(profile: Profile, known: Sequence[Profile]) -> None:
    """Somebody may have published another at the same time: the lower offset stands."""
    for each in known:
        if each.model == profile.model and not each.warmed_up:
            if each.hash != profile.hash:
                raise ProfileError(
                    f"{profile.model}: {each.hash} was published a moment earlier and stands; "
                    f"{profile.hash} is passed over"
                )
            return


def _read(file: Path) -> Profile:
    try:
        return profile_from_record(schemas.decode_json("reference_profile", file.read_bytes()))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error
    except SchemaError as error:
        raise ProfileError(
            f"{file}: is no profile ({error}). Of a table, build it first: "
            f"`driftstream profile build {file} --model MODEL -o profile.json`"
        ) from error
    except ProfileError as error:
        raise ProfileError(f"{file}: {error}") from error
