"""`driftstream apply` and `driftstream monitors`: say what is watched, and see what is in force."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import orjson
import typer

from stream.adapters.kafka.compacted import publish
from stream.adapters.monitor_files import read_monitors
from stream.adapters.monitors import (
    MonitorChanges,
    default_monitor,
    encode_monitors,
    in_force,
    with_change,
)
from stream.adapters.profiles import Moment, effective_from_ms
from stream.cli.deployment import (
    all_monitors,
    all_profiles,
    models_with_windows,
    parse_time,
)
from stream.cli.monitor_warnings import warnings
from stream.cli.monitor_words import length, said
from stream.cli.options import JsonFlag, new_app, with_settings
from stream.cli.output import instant, print_json, print_table, say
from stream.cli.reading import connection
from stream.cli.vocabulary import VOCABULARY
from stream.core.errors import ConfigError
from stream.core.specs import MonitorSpec
from stream.settings import Settings
from stream.topics import real_name

__all__ = ["app", "apply_app"]

app = new_app("Show the monitors in force.")
apply_app = new_app("Publish monitors from a file.")

_ANY = "(any other)"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What applying does to one model: `changes` None where it has this monitor already."""

    model: str
    before: MonitorSpec | None
    changes: MonitorChanges | None


@apply_app.command()
@with_settings
def apply(
    settings: Settings,
    *,
    file: Annotated[list[Path], typer.Option("--file", "-f", help="YAML of monitors; repeat.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and tell only.")] = False,
    effective_from: Annotated[
        str | None, typer.Option(help="A later window boundary, as 2026-12-01T00:00Z.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Publish monitors; running workers take them up without a restart.

    A model that has no windows yet is watched so from the beginning; else a change applies from
    the first window boundary that no row has passed. Monitors that are unchanged are not sent.
    """
    specs = [
        spec for path in file for spec in read_monitors(path, VOCABULARY, settings.time.pane_ms)
    ]
    names = [spec.model for spec in specs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"model {twice[0]!r} stands in two of the files")
    asked = None if effective_from is None else parse_time(effective_from)
    plans = _plans(settings, specs, asked)
    if not dry_run:
        topic = real_name(settings.topic_prefix, "monitors")
        records = {
            plan.model.encode(): encode_monitors(plan.changes)
            for plan in plans
            if plan.changes is not None
        }
        if records:
            publish(connection(settings, "apply"), topic, records)
    _warn(settings, plans)
    for plan in plans:
        _report(plan, settings.time.pane_ms, json=json, dry_run=dry_run)


def _plans(settings: Settings, specs: list[MonitorSpec], asked: int | None) -> list[_Plan]:
    known = all_monitors(settings)
    changed = [
        spec
        for spec in specs
        if with_change(known.get(spec.model, ()), spec, spec.effective_from_ms) is not None
    ]
    windowed = models_with_windows(settings, [spec.model for spec in changed])
    plans = []
    for spec in specs:
        changes = known.get(spec.model, ())
        before = changes[-1] if changes else None
        if spec not in changed:
            plans.append(_Plan(spec.model, before, None))
            continue
        moment = Moment(
            now_ms=time.time_ns() // 1_000_000,
            time=settings.time,
            changes=changes,
            has_windows=spec.model in windowed,
        )
        try:
            start = effective_from_ms(moment, asked)
        except ConfigError as error:
            raise ConfigError(f"model {spec.model!r}: {error}") from error
        plans.append(_Plan(spec.model, before, with_change(changes, spec, start)))
    return plans


def _warn(settings: Settings, plans: list[_Plan]) -> None:
    """Tells what won't be as it looks, by the profiles published so far."""
    specs = [plan.changes[-1] for plan in plans if plan.changes]
    if not specs:
        return
    profiles = [profile for profile in all_profiles(settings) if not profile.warmed_up]
    for spec in specs:
        own = [profile for profile in profiles if profile.model.model == spec.model]
        for line in warnings(spec, own):
            say(f"warning: model {spec.model!r}, {line}")


def _report(plan: _Plan, pane_ms: int, *, json: bool, dry_run: bool) -> None:
    state = "unchanged" if plan.changes is None else ("changed" if plan.before else "new")
    differences = {}
    since = 0
    if plan.changes is not None:
        since = plan.changes[-1].effective_from_ms
        differences = _differences(plan.before or default_monitor(pane_ms), plan.changes[-1])
    if json:
        print_json(
            {
                "model": plan.model,
                "state": state,
                "effective_from_ms": since if plan.changes else None,
                "changes": {name: {"from": a, "to": b} for name, (a, b) in differences.items()},
                "dry_run": dry_run,
            }
        )
        return
    if plan.changes is None:
        print(f"{plan.model}: unchanged")
        return
    when = f"from {instant(since)}" if since else "from the beginning"
    would = " (dry run: nothing was sent)" if dry_run else ""
    print(f"{plan.model}: {state}, {when}{would}")
    for name, (before, after) in differences.items():
        print(f"  {name}: {said(before)} -> {said(after)}")


def _differences(before: MonitorSpec, after: MonitorSpec) -> dict[str, tuple[object, object]]:
    return {
        field.name: (getattr(before, field.name), getattr(after, field.name))
        for field in fields(MonitorSpec)
        if field.name not in {"model", "effective_from_ms"}
        and getattr(before, field.name) != getattr(after, field.name)
    }


@app.command()
@with_settings
def monitors(
    settings: Settings,
    *,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Of this model.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show each model's monitor in force now and those to come, and the defaults of all others."""
    now_ms = time.time_ns() // 1_000_000
    default = default_monitor(settings.time.pane_ms)
    rows: list[tuple[str, MonitorSpec]] = []
    for _, changes in sorted(all_monitors(settings).items()):
        current = in_force(changes, now_ms, settings.time.pane_ms)
        coming = [spec for spec in changes if spec.effective_from_ms > now_ms]
        rows += [("in force", replace(current, model=changes[-1].model))]
        rows += [("to come", spec) for spec in coming]
    rows.append(("in force", replace(default, model=_ANY)))
    if model is not None:
        shown = [row for row in rows if row[1].model == model]
        rows = shown or [("in force", replace(default, model=model))]
    if json:
        for state, spec in rows:
            print_json({"state": state, **_plain(spec)})
        return
    print_table(
        ("model", "state", "since", "window", "hop", "min rows", "score", "drift share", "more"),
        [
            (
                spec.model,
                state,
                instant(spec.effective_from_ms) if spec.effective_from_ms else "the beginning",
                length(spec.window_ms),
                length(spec.hop_ms),
                f"{spec.min_rows:,}",
                spec.score if spec.threshold is None else f"{spec.score} > {spec.threshold:g}",
                f"{spec.drift_share:g}",
                _more(spec),
            )
            for state, spec in rows
        ],
    )


def _more(spec: MonitorSpec) -> str:
    """What differs from the defaults and has no column of its own."""
    shown = {"window_ms", "hop_ms", "min_rows", "score", "threshold", "drift_share", "features"}
    told = [
        f"{name} {said(after)}"
        for name, (_, after) in _differences(MonitorSpec(), spec).items()
        if name not in shown
    ]
    if spec.features:
        told.append("rules for " + ", ".join(sorted(spec.features)))
    return "; ".join(told)


def _plain(spec: MonitorSpec) -> dict[str, object]:
    record: dict[str, object] = orjson.loads(encode_monitors((spec,)))
    record.pop("history")
    return record
