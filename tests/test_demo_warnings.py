"""The demo tells of what won't be as it looks, as `profile build` and `apply` do."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from stream.cli.application import run
from stream.cli.demo.broker import embedded_broker, own_prefix
from stream.cli.demo.play import Plan, play
from stream.cli.demo.run import QUICK
from stream.cli.demo.screen import LiveScreen, PlainScreen
from stream.cli.demo.table import TableTraffic
from stream.settings import load_settings

_RUNS_AGAINST = "warning: scores are higher for 'approve' than for the positive class 'deny'"
_ROWS = 600


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """A model's scores are of `approve`; of the two classes `deny` is the greater one."""
    for name in ("data", "reference"):
        rows = [
            f"{i % 100 / 100},{answer},{answer},{i % 7}"
            for i in range(_ROWS)
            for answer in ("approve" if i % 100 > 40 else "deny",)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["score,prediction,label,x", *rows]))
    return tmp_path / "data.csv", tmp_path / "reference.csv"


def test_a_positive_class_that_the_scores_do_not_mean_is_told(tables: tuple[Path, Path]) -> None:
    file = io.StringIO()
    plan = Plan(rate=3_000, window_ms=1_000, calm=0.0, give_up=0.0, grace=0.0)
    with embedded_broker() as address, PlainScreen(Console(file=file, width=110)) as screen:
        options = {"bootstrap_servers": address, "topic_prefix": own_prefix()}
        settings = load_settings(options, environ={}).model_copy(update=QUICK)
        play(settings, TableTraffic(*tables), plan, screen, "embedded", embedded=True)
    assert file.getvalue().count(_RUNS_AGAINST) == 1
    assert "say --positive approve" in file.getvalue()


def test_a_remark_stays_above_the_picture_as_it_is() -> None:
    file = io.StringIO()
    with LiveScreen(Console(file=file, width=40, force_terminal=True)) as screen:
        screen.remark("warning: [red]" + "x" * 40)
    assert "warning: [red]" in file.getvalue()


def test_a_positive_class_that_the_reference_lacks_is_refused(
    tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data, reference = (str(path) for path in tables)
    arguments = ["demo", "--data", data, "--reference", reference, "--positive", "yes"]
    assert run(arguments) == 1
    assert "the positive class 'yes' is none of approve, deny" in capsys.readouterr().err
