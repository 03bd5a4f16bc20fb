"""`python -m trimtab.simulation`: run a scenario live, or write its history.

    python -m trimtab.simulation SCENARIO.yaml --port 0 --targets-dir DIR [--kubeconfig FILE]
    python -m trimtab.simulation backfill SCENARIO.yaml --start now-30m --end now --step 1 --out FILE

The live form prints its address (`host:port`) once it is served, and ends on SIGTERM or SIGINT.
"""

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog
import yaml
from kubernetes.aio.config import ConfigException
from pydantic import ValidationError

from trimtab.domain.units import parse_duration
from trimtab.simulation.backfill import LivePods, backfill
from trimtab.simulation.cluster import ClusterPicture, look
from trimtab.simulation.live import connect, run_live
from trimtab.simulation.plans import Plan, fixed, hpa, wandering
from trimtab.simulation.scenario import Scenario, SimulatedService
from trimtab.simulation.watching import ListError

_HPA_TARGET = 0.6


def main(arguments: list[str]) -> int:
    """Run a command line; returns the exit code: 2 for what the user has to mend."""
    parser = _backfill_parser() if arguments[:1] == ["backfill"] else _live_parser()
    options = parser.parse_args(arguments[1:] if arguments[:1] == ["backfill"] else arguments)
    try:
        scenario = Scenario.read(options.scenario)
        if options.origin is not None:
            scenario = scenario.model_copy(update={"origin": options.origin})
        options.run(scenario, options)
    except ValidationError as error:
        for fault in error.errors():
            print(f"{options.scenario}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}", file=sys.stderr)
        return 2
    except (OSError, ValueError, yaml.YAMLError, ConfigException, ListError) as error:
        print(f"{options.scenario}: {error}", file=sys.stderr)
        return 2
    return 0


def moment(text: str) -> float:
    """Unix seconds from `now`, `now-30m`, Unix seconds or ISO 8601 (UTC when it names no zone).

    Raises ValueError for anything else.
    """
    if text == "now":
        return time.time()
    if text.startswith("now-"):
        return time.time() - parse_duration(text.removeprefix("now-"))
    try:
        return float(text)
    except ValueError:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _common(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("scenario", type=Path, metavar="SCENARIO.yaml")
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--origin", type=moment, help="time that the arrivals count from; default the scenario's")
    return parser


def _live_parser() -> argparse.ArgumentParser:
    parser = _common(argparse.ArgumentParser(prog="python -m trimtab.simulation", description="Run a scenario live."))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--targets-dir", type=Path, help="where Prometheus looks for targets (file_sd)")
    parser.set_defaults(run=_run_live)
    return parser


def _backfill_parser() -> argparse.ArgumentParser:
    prog = "python -m trimtab.simulation backfill"
    parser = _common(argparse.ArgumentParser(prog=prog, description="Write the history of a scenario as OpenMetrics."))
    parser.add_argument("--start", type=moment, required=True, help="now-30m, Unix seconds or ISO 8601")
    parser.add_argument("--end", type=moment, default="now")
    parser.add_argument("--step", type=float, default=1.0, help="seconds between scrapes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--replicas", choices=("fixed", "hpa", "random"), default="fixed")
    parser.set_defaults(run=_run_backfill)
    return parser


def _run_live(scenario: Scenario, options: argparse.Namespace) -> None:
    asyncio.run(
        run_live(scenario, options.kubeconfig, options.port, options.targets_dir, host=options.host, announce=_announce)
    )


def _announce(address: str) -> None:
    print(address, flush=True)


def _run_backfill(scenario: Scenario, options: argparse.Namespace) -> None:
    def plan(service: SimulatedService) -> Plan:
        most = max(2, 3 * service.replicas)
        match options.replicas:
            case "hpa":
                return hpa(_HPA_TARGET, 1, most)
            case "random":
                return wandering(max(1, service.replicas // 2), most, seed=service.model.seed)
            case _:
                return fixed

    pods = asyncio.run(_live_pods(scenario, options.kubeconfig)) if options.kubeconfig else None
    with options.out.open("w") as out:
        report = backfill(scenario, options.start, options.end, options.step, out, plan, pods)
    print(f"{report.samples} samples of {report.series} series in {options.out}")


async def _live_pods(scenario: Scenario, kubeconfig: Path) -> LivePods:
    picture = ClusterPicture(scenario)
    api = await connect(kubeconfig)
    try:
        await look(picture, api, time.time())
    finally:
        await api.close()
    return {service.key: picture.of_service(service.key) for service in scenario.services}


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    sys.exit(main(sys.argv[1:]))
