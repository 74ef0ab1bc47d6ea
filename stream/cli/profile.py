"""`driftstream profile`: build a reference profile from a table, look at it, publish it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from stream import schemas
from stream.adapters.kafka.compacted import publish as publish_records
from stream.adapters.profiles import Moment, publication, read_roles
from stream.adapters.tables import Roles, assign_roles, read_table, variables
from stream.cli.deployment import all_profiles, has_windows, monitors_of, parse_time
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import instant, print_json, say
from stream.cli.profile_view import print_profile, print_profiles
from stream.cli.reading import connection
from stream.core.errors import InputError, ProfileError, SchemaError
from stream.core.pane.reference import (
    build_profile,
    profile_from_record,
    profile_key,
    profile_to_record,
)
from stream.core.records import ModelKey
from stream.core.specs import Profile
from stream.settings import Settings
from stream.topics import real_name

__all__ = ["app"]

app = new_app("Build, show and publish reference profiles.")

Model = Annotated[str, typer.Option("--model", "-m", help="The model's name.")]
Version = Annotated[str, typer.Option("--version", help="The model's version.")]
Column = Annotated[str | None, typer.Option(help="The column's name; else guessed.")]
ProfileFile = Annotated[Path, typer.Argument(help="A profile that `build` has written.")]


@app.command()
def build(
    file: Annotated[Path, typer.Argument(help="Parquet, CSV, JSON lines or Arrow.")],
    model: Model,
    version: Version = "",
    roles: Annotated[
        Path | None, typer.Option("--roles", "--config", help="YAML of column roles.")
    ] = None,
    prediction_column: Column = None,
    score_column: Column = None,
    id_column: Column = None,
    time_column: Column = None,
    label_column: Column = None,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="The only features; repeat.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", help="Columns of no role; repeat.")
    ] = None,
    provenance: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Kept with it; repeat.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it; - is stdout.")
    ] = None,
) -> None:
    """Build a profile from a table of reference rows and write it to a file.

    What each column is taken for is told on stderr; the label, the id and the time are never
    features.
    """
    document = read_roles(roles)
    given = document.options()
    options = replace(
        given,
        prediction=prediction_column or given.prediction,
        score=score_column or given.score,
        id=id_column or given.id,
        time=time_column or given.time,
        label=label_column or given.label,
        features=[*given.features, *(feature or ())],
        ignore=[*given.ignore, *(ignore or ())],
    )
    with Console(stderr=True).status(f"reading {file}"):
        table = read_table(file)
        found = assign_roles(table, options)
        _tell(found, table.num_rows)
        columns = variables(table, found)
        kinds = {_named(name, columns): kind for name, kind in document.kinds.items()}
        profile = build_profile(
            ModelKey(model, version),
            columns,
            bins=document.bins,
            categories=document.categories,
            kinds=kinds,
            created_ms=time.time_ns() // 1_000_000,
            provenance={"file": file.name, **document.provenance, **_pairs(provenance)},
        )
    _write(profile, output)


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


def _tell(roles: Roles, rows: int) -> None:
    say(f"{rows:,} rows")
    for name in ("prediction", "score", "id", "time", "label"):
        column = getattr(roles, name)
        say(f"  {name:<10} {column if column is not None else '-'}")
    if roles.scores:
        say(f"  scores     {', '.join(f'{k}: {c}' for k, c in sorted(roles.scores.items()))}")
    say(f"  features   {', '.join(roles.features) or '-'}")
    for column, reason in roles.left_out.items():
        say(f"  left out   {column}: {reason}")


def _named(name: str, columns: dict[str, Any]) -> str:
    """The variable that a role file's kind is for, by its name or a feature's own name."""
    for candidate in (f"features.{name}", name):
        if candidate in columns:
            return candidate
    raise InputError(f"kinds names {name!r}, which is no variable; there are {', '.join(columns)}")


def _pairs(texts: Sequence[str] | None) -> dict[str, str]:
    pairs = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--provenance {text}: write KEY=VALUE, such as git=1a2b3c")
        pairs[key] = value
    return pairs


def _write(profile: Profile, output: Path | None) -> None:
    value = schemas.encode_json("reference_profile", profile_to_record(profile))
    if output == Path("-"):
        print(value.decode())
        return
    safe = "".join(c if c.isalnum() or c in "-_.@" else "_" for c in str(profile.model))
    path = output or Path(f"{safe}.profile.json")
    try:
        path.write_bytes(value + b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    say(f"{profile.model}: profile {profile.hash} is in {path}")


def _read(file: Path) -> Profile:
    try:
        return profile_from_record(schemas.decode_json("reference_profile", file.read_bytes()))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}") from error
    except (SchemaError, ProfileError) as error:
        raise ProfileError(f"{file}: {error}") from error
