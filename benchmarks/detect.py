"""What detect costs: 1,000 models of 20 features, a partial a second, a window end.

    python -m benchmarks.detect [--models 1000]

Prints milliseconds of a step (all models' groups folded), a commit (its changelog records), a
window end (scored and written; the first one plans each profile), and seconds of a restore.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from stream import schemas
from stream.agents.detect.agent import DetectAgent, DetectSettings
from stream.core.pane.content import content_hash, profile_to_record
from stream.core.pane.partial import encode_partials
from stream.core.pane.reference import build_profile
from stream.core.records import Group, ModelKey, Partial, Slice, Source, Told
from stream.core.specs import MonitorSpec, Profile, TimeSpec
from stream.engine.agent import Broadcast

_T = TypeVar("_T")
PANE_MS = 60_000
FEATURES = 20
SOURCES = tuple(Source("predictions", number) for number in range(24))


def profiles_of(models: int) -> list[Profile]:
    rng = np.random.default_rng(1)
    columns = {f"features.f{number}": rng.normal(size=5_000) for number in range(FEATURES)}
    first = build_profile(ModelKey("m0", ""), columns)
    found = []
    for number in range(models):
        copy = replace(first, model=ModelKey(f"m{number}", ""))
        found.append(replace(copy, hash=content_hash(profile_to_record(copy))))
    return found


def groups_of(profiles: list[Profile]) -> list[Group]:
    """One second's rows of every model: about 100, spread as the reference is."""
    rng = np.random.default_rng(2)
    groups = []
    for profile in profiles:
        counts = np.zeros(profile.width, dtype=np.int64)
        for variable, start in zip(profile.variables, profile.starts.tolist(), strict=False):
            counts[start : start + variable.size] = rng.multinomial(
                100, np.full(variable.size, 1 / variable.size)
            )
        groups.append(Group(profile.model, profile.hash, 0, 100, 100, 0, 0, counts))
    return groups


def slice_of(groups: list[Group], pane_ms: int, number: int) -> Slice:
    told = tuple(Told(source, pane_ms, pane_ms) for source in SOURCES)
    moved = tuple(replace(g, pane_ms=pane_ms) for g in groups)
    said = Partial(PANE_MS, moved, (), told, ())
    values = encode_partials(said, schemas.schema("pane_partial"), 900_000)
    count = len(values)
    zeros = np.zeros(count, dtype=np.int64)
    offsets = np.arange(number * count, (number + 1) * count, dtype=np.int64)
    place = np.zeros(count, dtype=np.int32)
    return Slice((Source("partials", 0),), place, offsets, zeros, values, None, lambda _: None)


def agent_of(profiles: list[Profile]) -> DetectAgent:
    settings = DetectSettings(
        ("predictions",), len(SOURCES), TimeSpec(), monitor=MonitorSpec(min_rows=100)
    )
    agent = DetectAgent(settings)
    for offset, profile in enumerate(profiles):
        value = schemas.encode_json("reference_profile", profile_to_record(profile))
        agent.hear([Broadcast("profiles", offset, 0, None, value)])
    return agent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1_000)
    profiles = profiles_of(parser.parse_args().models)
    groups = groups_of(profiles)
    state: dict[bytes, bytes] = {}
    agent = agent_of(profiles)
    agent.assign(0, {}, state)
    steps: list[float] = []
    commits: list[float] = []
    ends: list[float] = []
    written = 0
    for number in range(130):
        slice_ = slice_of(groups, number * PANE_MS, number)
        agent.wants_broadcasts(slice_)
        outputs, seconds = timed(partial(agent.step, slice_, 0))
        (ends if outputs else steps).append(seconds)
        commit, seconds = timed(partial(agent.commit, {}, 0))
        commits.append(seconds)
        for change in commit.changes:
            written += len(change.value or b"")
            if change.value is None:
                state.pop(change.key, None)
            else:
                state[change.key] = change.value
    again = agent_of(profiles)
    _, restore = timed(partial(again.assign, 0, {}, state))
    print(f"{len(profiles)} models, {FEATURES} features, {profiles[0].width} slots a model")
    print(f"step          {1e3 * float(np.median(steps)):8.1f} ms")
    print(f"commit        {1e3 * float(np.median(commits)):8.1f} ms, {written / 130e6:.2f} MB")
    print(f"window ends   {', '.join(f'{1e3 * end:.0f}' for end in ends)} ms")
    print(f"state         {sum(map(len, state.values())) / 1e6:8.1f} MB, {len(state)} records")
    print(f"restore       {restore:8.2f} s")


def timed(call: Callable[[], _T]) -> tuple[_T, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
