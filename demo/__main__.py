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
from demo.report import write_report
from demo.screen import Screen
from demo.stage import StageError
from demo.story import play
from trimtab.adapters.kube import KubeError

OUTPUT = Path("demo-output")


def main() -> int:
    """Run the command line; the exit code."""
    options = _parser().parse_args()
    try:
        return asyncio.run(_run(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; everything that was started has ended", file=sys.stderr)
        return 130
    except (ClusterError, StageError, KubeError) as error:
        print(f"the demonstration could not be played: {error}", file=sys.stderr)
        return 2


async def _run(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None, "asyncio.run makes one"
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    started, screen = time.monotonic(), Screen()
    folder = (options.output / time.strftime("%Y-%m-%d_%H-%M-%S")).resolve()
    raw = folder / "raw"
    raw.mkdir(parents=True)
    story = await play(raw, screen)
    report = write_report(folder, story)
    screen.outcome(story.promises)
    for promise in story.promises:
        for shortfall in promise.broken:
            screen.say(f"[bold red]not kept[/]: {promise.title}: {shortfall}")
    screen.say(f"report: {report}")
    screen.say(f"raw:    {raw}")
    screen.say(f"took {time.monotonic() - started:.0f} s")
    return 0 if all(promise.kept for promise in story.promises) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Play the demonstration.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"where reports go; default {OUTPUT}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
