"""``python -m tests.faults``: every fault in every phase; the last line is
``cases=… skipped=… violations=… errors=…``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.faults.cases import WHOLE
from tests.faults.mutants import MUTANT, MUTANTS
from tests.faults.promises import BROKEN_PROMISE

_FOLDER: Final = Path(__file__).parent
_PLAYED_TO_THE_END: Final = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


class _Tally:
    """What became of each case."""

    def __init__(self) -> None:
        self.chosen: set[str] = set()
        self.cases: set[str] = set()
        """Those that were played to their end."""
        self.skipped: set[str] = set()
        self.violations: set[str] = set()
        """Those in which a promise was broken."""
        self.errors: set[str] = set()
        """Those that failed in another way: they say nothing of the promises."""

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Called for each worker, which all collect the same."""
        self.chosen.update(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for each of a case's set-up, play and end."""
        if report.when == "teardown":
            self.cases.add(report.nodeid)
        if report.skipped:
            self.skipped.add(report.nodeid)
        if report.failed and report.when == "call" and BROKEN_PROMISE in map(tuple, report.user_properties):
            self.violations.add(report.nodeid)
        elif report.failed:
            self.errors.add(report.nodeid)


def main() -> int:
    """0 when all that was chosen was played and no promise was broken; with ``--mutant`` when one was."""
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
    code = pytest.main(arguments, plugins=[tally])
    whole = code in _PLAYED_TO_THE_END and bool(tally.cases) and tally.cases == tally.chosen
    if not whole:
        print(f"{len(tally.cases)} of {len(tally.chosen)} cases were played to their end; pytest's exit code is {code}")
    print(
        f"cases={len(tally.cases)} skipped={len(tally.skipped)}"
        f" violations={len(tally.violations)} errors={len(tally.errors)}"
    )
    if not whole or tally.skipped or tally.errors:
        return 1
    return int(bool(tally.violations) is not bool(given.mutant))


if __name__ == "__main__":
    sys.exit(main())
