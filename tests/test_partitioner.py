"""Kafka's default partitioner: the hashes that Kafka's own tests state, one by one and many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.partitioner import murmur2, partitions_of

# From org.apache.kafka.common.utils.UtilsTest, as signed 32-bit integers.
STATED = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("times", [1, 50])
def test_hashes_are_kafkas(times: int) -> None:
    assert murmur2(list(STATED) * times).view(np.int32).tolist() == [*STATED.values()] * times


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=40))
def test_many_keys_are_hashed_as_each_alone(keys: list[bytes]) -> None:
    assert partitions_of(keys, 7).tolist() == [int(partitions_of([key], 7)[0]) for key in keys]
