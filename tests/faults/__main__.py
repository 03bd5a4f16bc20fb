"""``python -m tests.faults``: every fault in every phase; the last line is ``cases=… skipped=… violations=…``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

from tests.faults.cases import WHOLE
from tests.faults.mutants import MUTANT, MUTANTS

_FOLDER = Path(__file__).parent


class _Tally:
    """What became of each case."""

    def __init__(self) -> None:
        self.cases: set[str] = set()
        self.skipped: set[str] = set()
        self.violations: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for each of a case's set-up, play and end."""
        self.cases.add(report.nodeid)
        if report.skipped:
            self.skipped.add(report.nodeid)
        if report.failed:
            self.violations.add(report.nodeid)


def main() -> int:
    """0 when no promise was broken; with ``--mutant`` when one was."""
    parser = argparse.ArgumentParser(prog="make faults ARGS=…", description=__doc__)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="play against an operator without this safeguard")
    parser.add_argument("-k", dest="chosen", default="", help="only cases whose names fit, as pytest's -k")
    parser.add_argument("-n", dest="workers", default="4", help="cases at a time; each mostly waits")
    given = parser.parse_args()
    os.environ[WHOLE] = "1"
    if given.mutant:
        os.environ[MUTANT] = given.mutant
    tally = _Tally()
    chosen = given.chosen or (MUTANTS[given.mutant].shown_by if given.mutant else "")
    arguments = [str(_FOLDER), "-n", given.workers, "--tb=short", "-rf", *(["-k", chosen] if chosen else [])]
    pytest.main(arguments, plugins=[tally])
    found = f"cases={len(tally.cases)} skipped={len(tally.skipped)} violations={len(tally.violations)}"
    print(found)
    if not tally.cases or tally.skipped:
        return 1
    return int(bool(tally.violations) is not bool(given.mutant))


if __name__ == "__main__":
    sys.exit(main())
