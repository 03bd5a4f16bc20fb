"""``python -m demo``: the story on a real API server and a real Prometheus, or a trace of one's own.

The exit code is 0 when every promise was kept, 1 when one was not, 2 when it could not be played, 130 when it was
interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path

from cluster.errors import ClusterError
from demo import report, story, trace
from demo.screen import Screen
from demo.stage import StageError
from trimtab.adapters.kube import KubeError
from trimtab.simulation.csvtrace import TraceError

OUTPUT = Path("demo-output")


def main() -> int:
    """Run the command line; the exit code."""
    options = _parser().parse_args()
    try:
        return asyncio.run(_run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; everything that was started has ended", file=sys.stderr)
        return 130
    except (ClusterError, StageError, KubeError, TraceError, OSError) as error:
        print(f"the demonstration could not be played: {error}", file=sys.stderr)
        return 2


async def _run(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None, "asyncio.run makes one"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    started, screen = time.monotonic(), Screen()
    folder = (options.output / time.strftime("%Y-%m-%d_%H-%M-%S")).resolve()
    raw = folder / "raw"
    try:
        kept = await (_story(folder, raw, screen) if options.trace is None else _trace(folder, raw, screen, options))
    except (ClusterError, StageError, KubeError) as error:
        if task.cancelling():  # the interruption ended a program that was waited for
            raise asyncio.CancelledError from error
        raise
    screen.say(f"report: {_shown(folder / 'report.md')}")
    screen.say(f"raw:    {_shown(raw)}")
    screen.say(f"took {time.monotonic() - started:.0f} s")
    return 0 if kept else 1


async def _story(folder: Path, raw: Path, screen: Screen) -> bool:
    """Play the story, and show what became of its promises; whether all were kept."""
    told = await story.play(raw, screen)
    report.write_report(folder, told)
    screen.outcome(told.promises)
    return all(promise.kept for promise in told.promises)


async def _trace(folder: Path, raw: Path, screen: Screen, options: argparse.Namespace) -> bool:
    """Play a trace, and show how it was followed; true when it ran through."""
    outcome = await trace.play(raw, screen, options.trace, options.speed, options.column)
    trace.write_report(folder, options.trace, outcome)
    screen.say()
    for line in trace.summary(outcome):
        screen.say(line)
    return True


def _shown(path: Path) -> str:
    """A path as short as it can be from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Play the demonstration, or with --trace a recorded load.",
        epilog="Exit code: 0 when every promise was kept (or the trace ran through), 1 when one was not, "
        "2 when it could not be played, 130 when interrupted.",
    )
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"where reports go; default {OUTPUT}")
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE.csv",
        help="columns time,value (requests/s) or time,requests (a minute): the last days are played live",
    )
    parser.add_argument("--column", help="the trace's column of values, if it is another one")
    parser.add_argument(
        "--speed",
        type=_above_zero,
        default=trace.DEFAULT_SPEED,
        help="times as fast as recorded; default %(default)g, a day in 100 s",
    )
    return parser


def _above_zero(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
