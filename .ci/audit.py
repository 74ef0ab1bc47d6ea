"""Asks for known vulnerabilities of what a lock file pins: `python .ci/audit.py requirements.lock`.

Exit code 1 where there are some. Where nobody could be asked, as without a network, it says so and
ends with 0: a build must not depend on a service that is away.
"""

from __future__ import annotations

import json
import subprocess
import sys

_SECONDS = 300


def main(lock: str) -> int:
    """Prints what is known; returns the exit code."""
    command = [sys.executable, "-m", "pip_audit", "-r", lock, "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        told = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _not_asked(f"no answer in {_SECONDS} s")
    except (json.JSONDecodeError, KeyError):
        return _not_asked((done.stderr.strip().splitlines() or ["no answer"])[-1])
    known = [each for each in told if "vulns" in each]
    for each in known:
        for found in each["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{each['name']} {each['version']}: {found['id']}, mended in {mended}")
    if not known:
        return _not_asked(told[0].get("skip_reason", "") if told else "the lock file is empty")
    print(f"{len(known)} of {len(told)} packages looked up")
    return 1 if any(each["vulns"] for each in known) else 0


def _not_asked(why: str) -> int:
    print(f"no package of the lock file could be looked up, so nothing is known of them: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
