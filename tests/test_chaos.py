"""The chaos matrix's short form: disturbed workers end in the same bytes as undisturbed ones."""

from __future__ import annotations

import pytest

from stream.adapters.kafka.local import KafkaUnavailableError, LocalKafka
from tests.chaos.cases import Case, short_form
from tests.chaos.matrix import Matrix
from tests.chaos.report import line
from tests.conftest import unavailable

SEED = 7
SECONDS = 150.0


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """Each case has brokers of its own, which are killed and stopped."""
    try:
        with LocalKafka(quick=True):
            pass
    except KafkaUnavailableError as error:
        unavailable(error)
    return Matrix(SEED, tmp_path_factory.mktemp("chaos"), SECONDS)


@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("case", short_form(SEED), ids=lambda case: case.name)
def test_disturbed_workers_write_what_undisturbed_ones_do(matrix: Matrix, case: Case) -> None:
    result = matrix.result(case)
    assert not result.failure, "\n".join([*result.journal, line(result)])
