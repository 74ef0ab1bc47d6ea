"""What the demo shows: a picture that renews itself in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.cli.demo.scene import Moved, Scene
from stream.cli.demo.shapes import axis_of, bars, shape
from stream.cli.demo.verdict import performance_line, verdict
from stream.cli.window_line import window_line

__all__ = ["LiveScreen", "PlainScreen", "Screen", "picture", "screen_for", "summary"]

_ROWS = 12
_FEWEST = 4
_OTHER_LINES = 20  # of the picture: its head, the alerts, a table's frame, two windows
_COLUMNS = (
    ("variable", 14),
    ("score", 9),
    ("", 13),
    ("reference", 12),
    ("now", 12),
    ("axis, or categories", 4),
)


class Screen(Protocol):
    """Shows a scene as it changes."""

    def __enter__(self) -> Screen: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, scene: Scene) -> None:
        """The scene may have changed."""

    def remark(self, line: str) -> None:
        """Says a thing that stays on screen, outside of the picture."""


class LiveScreen:
    """Draws the whole scene again and again in place; in the end only its windows stay."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._scene: Scene | None = None

    def __enter__(self) -> LiveScreen:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)
        if self._scene is not None:
            self._console.print(_windows(self._scene, self._scene.windows))

    def show(self, scene: Scene) -> None:
        """Takes the scene as it is now; it is drawn at the next refresh."""
        self._scene = scene
        self._live.update(picture(scene, self._console.height))

    def remark(self, line: str) -> None:
        """Prints it above the picture, which goes on below."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class PlainScreen:
    """Prints a line for each thing that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._heard = 0
        self._told: set[str] = set()

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was opened."""

    def show(self, scene: Scene) -> None:
        """Prints what is new."""
        self._once("broker", f"Kafka: {scene.broker}")
        if scene.changed_at is not None:
            self._once("changed", f"{scene.seconds:5.1f} s  from now on: {scene.story}")
        new = min(scene.heard - self._heard, len(scene.windows))
        self._heard = scene.heard
        for window in list(scene.windows)[len(scene.windows) - new :]:
            line = window_line(window, _metrics(scene))
            self.remark(f"{scene.seconds:5.1f} s  {scene.rate:,.0f} rows/s  {line}")
        if scene.alert is not None:
            self._once("alert", f"{scene.seconds:5.1f} s  ALERT  {_alert_text(scene.alert)}")
        if scene.harm is not None:
            self._once("harm", f"{scene.seconds:5.1f} s  ALERT  {_alert_text(scene.harm)}")

    def remark(self, line: str) -> None:
        """Prints it as it is."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _once(self, what: str, line: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.remark(line)


def screen_for(console: Console) -> Screen:
    """A live picture where the console is a terminal, else lines."""
    return LiveScreen(console) if console.is_terminal else PlainScreen(console)


def summary(scene: Scene) -> RenderableType:
    """What was found, or that nothing was, with the distributions that moved."""
    if scene.alert is None:
        found = f"No drift found: {scene.closed} windows, {scene.counted:,} rows, no incident."
        said = f"\n{found}\n{verdict(scene)} The last window:\n"
        return Group(Text(said), _table(scene.moved()))
    lines = [f"\nDrift found in {scene.profile.model} after {scene.found_at:.0f} s"]
    if scene.changed_at is not None and scene.found_at is not None:
        lines[0] += f", {scene.found_at - scene.changed_at:.0f} s after the change began"
    if scene.total:
        lines[0] += f", with {scene.found_rows:,} of {scene.total:,} rows counted"
    lines += [_alert_text(scene.alert), verdict(scene) + "\n"]
    last = f"\n{scene.counted:,} rows in {scene.closed} windows.\n"
    return Group(Text("\n".join(lines)), _table(scene.moved()), Text(last))


def _alert_text(alert: Mapping[str, Any]) -> str:
    return f"{alert.get('severity', '')}: {alert.get('summary', '')}"


def picture(scene: Scene, height: int) -> RenderableType:
    """The whole scene, the alert first; a low terminal shows fewer variables and windows."""
    parts: list[RenderableType] = [_head(scene)]
    alerts = [_alert_text(alert) for alert in (scene.alert, scene.harm) if alert is not None]
    if alerts:
        text = Text("\n".join(alerts))
        parts.append(Panel(text, title="ALERT: an incident was opened", border_style="red"))
    rows = max(_FEWEST, min(_ROWS, height - _OTHER_LINES))
    windows = list(scene.windows)[-max(2, min(len(scene.windows), height - rows - _OTHER_LINES)) :]
    shown = _windows(scene, windows)
    shown.no_wrap, shown.overflow = True, "ellipsis"  # each in its line: the picture has a height
    return Group(*parts, _table(scene.moved(), rows), shown)


def _head(scene: Scene) -> Text:
    of = f" of {scene.total:,}" if scene.total else ""
    text = Text()
    text.append(f"driftstream demo   {scene.profile.model}", style="bold")
    text.append(f"   {scene.seconds:4.0f} s   {scene.rate:6,.0f} rows/s   {scene.sent:,}{of} sent")
    text.append(f"   {scene.closed} windows\n")
    text.append(f"Kafka: {scene.broker}\n", style="dim")
    if scene.changed_at is not None:
        text.append(f"since {scene.changed_at:.0f} s: {scene.story}", style="yellow")
    elif scene.story:
        text.append("traffic is like the reference; soon it changes", style="green")
    line = performance_line(scene)
    if line:
        text.append(f"\n{line}", style="red" if scene.harm is not None else "cyan")
    return text


def _metrics(scene: Scene) -> tuple[str, ...]:
    return (scene.metric,) if scene.metric else ()


def _windows(scene: Scene, windows: Iterable[Mapping[str, Any]]) -> Text:
    text = Text("Windows\n", style="bold")
    for window in windows:
        style = "red" if window.get("drifted") or window.get("breaches") else ""
        line = window_line(window, _metrics(scene))
        text.append(Text(f"{line}\n", style=style or "default"))
    return text


def _table(moved: Sequence[Moved], rows: int = _ROWS) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, width in _COLUMNS:
        table.add_column(name, no_wrap=True, min_width=width)
    for one in moved[:rows]:
        reference = shape(one.variable, one.variable.counts)
        now = shape(one.variable, one.counts)
        highest = max(reference.max(initial=0), now.max(initial=0))
        style = "red" if one.drifted else "green"
        table.add_row(
            Text(one.variable.label),
            Text(f"{one.score_name} {one.score:.3f}", style=style),
            Text(f"> {one.threshold:g} drifted" if one.drifted else "", style=style),
            Text(bars(reference, highest), style="cyan"),
            Text(bars(now, highest), style=style),
            Text(axis_of(one.variable), style="dim"),
        )
    if len(moved) > rows:
        table.add_row(Text(f"and {len(moved) - rows} more", style="dim"))
    return table
