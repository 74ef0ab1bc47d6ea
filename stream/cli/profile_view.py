"""Reference profiles as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from stream.cli.output import instant, print_table
from stream.core.labels import LabelKind
from stream.core.rules import OutcomeReference
from stream.core.specs import MISSING, NumericVariable, Profile, Variable

__all__ = ["print_profile", "print_profiles"]

_SHOWN = 4  # categories that the table tells of a variable


def print_profiles(profiles: Sequence[Profile]) -> None:
    """A line for each profile."""
    print_table(
        ("model", "version", "profile", "rows", "variables", "applies from", "made"),
        [
            (
                profile.model.model,
                profile.model.version,
                profile.hash,
                f"{profile.rows:,}",
                len(profile.variables),
                _since(profile),
                "warmed up" if profile.warmed_up else "published",
            )
            for profile in profiles
        ],
    )


def print_profile(profile: Profile) -> None:
    """A line for each variable of one profile; its outcome and segments, where it has them."""
    origin = ", ".join(f"{key} {value}" for key, value in profile.provenance)
    print_table(
        ("variable", "role", "bins", "missing", "values"),
        [_row(variable) for variable in profile.variables],
        title=(
            f"{profile.model}, profile {profile.hash}: {profile.rows:,} rows, applies from "
            f"{_since(profile)}" + (f" ({origin})" if origin else "")
        ),
    )
    if profile.outcome is not None:
        _tell_outcome(profile.outcome)
    if profile.segments:
        print_table(
            ("segment by", "values"),
            [(column, ", ".join(values)) for column, values in profile.segments],
        )


def _tell_outcome(outcome: OutcomeReference) -> None:
    """What the reference's labels said, and its own metrics."""
    rows: list[tuple[object, ...]] = [
        ("kind", outcome.kind),
        ("labels", f"{outcome.rows:,}"),
    ]
    if outcome.kind == LabelKind.BINARY:
        rows += [("negative", outcome.classes[0]), ("positive", outcome.classes[1])]
    elif outcome.classes:
        rows.append(("classes", ", ".join(outcome.classes)))
    if outcome.calibration:
        rows.append(("calibrated over", f"{len(outcome.calibration)} bins of scores"))
    rows += [(name, f"{value:.6g}") for name, value in outcome.metrics]
    print_table(("outcome", ""), rows, title="what the reference's labels say")


def _row(variable: Variable) -> tuple[object, ...]:
    rows = max(sum(variable.counts), 1)
    if isinstance(variable, NumericVariable):
        values = f"{variable.low:.6g} to {variable.high:.6g}, mean {variable.mean:.6g}"
    else:
        values = ", ".join(
            f"{name} {count / rows:.0%}"
            for name, count in zip(variable.categories[:_SHOWN], variable.counts, strict=False)
        )
        more = variable.size + len(variable.others) - _SHOWN
        values += f" and {more:,} more" if more > 0 else ""
    missing = f"{variable.counts[variable.size + MISSING] / rows:.2%}"
    return (variable.label, variable.role, variable.size, missing, values)


def _since(profile: Profile) -> str:
    return instant(profile.effective_from_ms) if profile.effective_from_ms else "the beginning"
