"""The command line: up, down, status, kubeconfig, build."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from cluster import build, state
from cluster.errors import ClusterError
from cluster.recipes import ALL_TOOLS
from cluster.start import Options, start


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status: 0 when all is well, 1 when it failed or a component is dead."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status: int = options.run(options)
        return status
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Treats a request to end like Ctrl-C, so that what was started is ended too."""
    raise KeyboardInterrupt


def _up(options: argparse.Namespace) -> int:
    started = start(
        options.name,
        options.state,
        Options(
            nodes=options.nodes,
            startup_seconds=options.startup_seconds,
            prometheus=options.prometheus,
            scrape_interval=options.scrape_interval,
            lookback_delta=options.lookback_delta,
            backfilled=tuple(options.backfill),
        ),
    )
    print("\n".join(started.exports()))
    return 0


def _down(options: argparse.Namespace) -> int:
    cluster = state.load(options.name, options.state)
    state.remove(cluster)
    print(f"cluster {cluster.name} ended", file=sys.stderr)
    return 0


def _status(options: argparse.Namespace) -> int:
    cluster = state.load(options.name, options.state)
    print(f"{cluster.name}: {cluster.server}, Prometheus {cluster.prometheus_url or 'none'}")
    for component in cluster.components:
        condition = "running" if component.alive() else "dead"
        print(f"  {component.name:<24} {condition:<8} pid {component.pid:<8} {component.log}")
    return 1 if cluster.dead() else 0


def _kubeconfig(options: argparse.Namespace) -> int:
    admin = state.load(options.name, options.state).kubeconfig
    chosen = admin.with_name(f"{options.user}.yaml")
    if not chosen.exists():
        known = ", ".join(sorted(path.stem for path in admin.parent.glob("*.yaml")))
        raise ClusterError(f"no user {options.user!r}; known are {known}")
    print(chosen)
    return 0


def _build(options: argparse.Namespace) -> int:
    for tool, binary in build.ensure(options.tools or ALL_TOOLS).items():
        print(f"{tool} {binary}")
    return 0


def _name(text: str) -> str:
    """A cluster's name, which is a folder's too."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text) is None:
        raise argparse.ArgumentTypeError("letters, digits, '.', '_' and '-' only")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", type=_name, default="default", help="the cluster's name (default: %(default)s)")
    named.add_argument(
        "--state",
        type=Path,
        default=state.DEFAULT_BASE,
        metavar="DIR",
        help="the folder in which each cluster has one of its own (default: %(default)s)",
    )

    up = verbs.add_parser("up", parents=[named], help="start a cluster, and print how to reach it")
    up.set_defaults(run=_up)
    up.add_argument("--nodes", type=int, default=3, help="how many simulated nodes (default: %(default)s)")
    up.add_argument(
        "--startup-seconds", type=float, default=3.0, help="from a pod's start to Ready (default: %(default)s)"
    )
    up.add_argument("--scrape-interval", default="1s", help="Prometheus's (default: %(default)s)")
    up.add_argument("--lookback-delta", default="5m", help="Prometheus's (default: %(default)s)")
    up.add_argument(
        "--prometheus", action=argparse.BooleanOptionalAction, default=True, help="with Prometheus (default) or not"
    )
    up.add_argument(
        "--backfill",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE.om",
        help="OpenMetrics files of history for Prometheus",
    )

    down = verbs.add_parser("down", parents=[named], help="end a cluster and remove its state")
    down.set_defaults(run=_down)

    status = verbs.add_parser("status", parents=[named], help="show a cluster's processes; exit 1 when one is dead")
    status.set_defaults(run=_status)

    kubeconfig = verbs.add_parser("kubeconfig", parents=[named], help="print the path of a user's kubeconfig")
    kubeconfig.set_defaults(run=_kubeconfig)
    kubeconfig.add_argument("--user", default="admin", help="admin, operator, alice or bob (default: %(default)s)")

    builder = verbs.add_parser("build", help="build what the cache lacks, and print where each tool is")
    builder.set_defaults(run=_build)
    builder.add_argument("tools", nargs="*", metavar="TOOL", help=f"of {', '.join(ALL_TOOLS)} (default: all)")
    return parser
