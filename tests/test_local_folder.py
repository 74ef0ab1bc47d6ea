"""Temporary folders of local brokers: none outlives the next start, none in use is touched."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from stream.adapters.kafka.local_folder import TemporaryFolder, sweep

_KEEPER = """
import signal, sys
from pathlib import Path
from stream.adapters.kafka.local_folder import TemporaryFolder
folder = TemporaryFolder(Path(sys.argv[1]))
(folder.path / "data").write_text("segment")
print(folder.path, flush=True)
signal.pause()
"""


def test_a_folder_of_a_killed_process_is_swept_and_not_before(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KEEPER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as keeper:
        assert keeper.stdout is not None
        folder = Path(keeper.stdout.readline().strip())
        assert sweep(tmp_path) == ()
        assert (folder / "data").exists()
        keeper.send_signal(signal.SIGKILL)
        keeper.wait()
    assert sweep(tmp_path) == (folder,)
    assert not folder.exists()


def test_what_is_not_known_to_be_ours_stays(tmp_path: Path) -> None:
    unmarked, other = tmp_path / "driftstream-kafka-old", tmp_path / "somebody-elses"
    for folder in (unmarked, other):
        folder.mkdir()
    (other / "in-use").touch()
    own = TemporaryFolder(tmp_path)
    assert sweep(tmp_path) == ()
    assert unmarked.exists()
    assert other.exists()
    own.remove()
    assert not own.path.exists()
