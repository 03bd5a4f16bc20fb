"""The command line: the operator itself, and what people ask of it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from rich.text import Text

from trimtab import __version__
from trimtab.adapters.kube import KubeClient, KubeError
from trimtab.adapters.resources import RESUMED_ANNOTATION, Resources
from trimtab.adapters.switch import SWITCH_NAMESPACE
from trimtab.commands import include
from trimtab.commands.shell import RefusedError
from trimtab.commands.stopping import pause_all, release_runs, resume_all, stopped
from trimtab.domain.objects import Policy, Run
from trimtab.domain.run import Phase
from trimtab.reporting.printing import SafeConsole, complain, say
from trimtab.reporting.terminal import explanation, overview

app = typer.Typer(
    name="trimtab",
    help="Tunes workloads, proves each change from the metrics, and undoes what did not help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
include(app)
_T = TypeVar("_T")
_out = SafeConsole(width=None if sys.stdout.isatty() else 10_000)  # what is piped on is not wrapped or cut

Kubeconfig = Annotated[Path | None, typer.Option(help="Kubeconfig; default KUBECONFIG or ~/.kube/config.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the policy or run.")]
PolicyName = Annotated[str, typer.Argument(help="Name of the PerformancePolicy.")]
OptionalPolicy = Annotated[str | None, typer.Argument(help="Name of the PerformancePolicy.")]
SwitchNamespace = Annotated[
    str, typer.Option(envvar="TRIMTAB_SWITCH_NAMESPACE", help="Namespace of the operator, where its switch is.")
]
RunName = Annotated[str, typer.Argument(help="Name of the OptimizationRun.")]


class MalformedError(Exception):
    """Settings of the operator that cannot be used; the message names each, and shows nothing that may be secret."""


def main() -> None:
    """Entry point: an error that a person can mend is one line and exit code 1, or 2 for a malformed setting."""
    try:
        app()
    except MalformedError as error:
        complain(str(error))
        sys.exit(2)
    except (KubeError, RefusedError) as error:
        complain(_complaint(error))
        sys.exit(1)


def _faults(error: ValidationError) -> str:
    """What is wrong with each setting, without its value."""
    found = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        where, what = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
        found.append(f"{where}: {what}" if where and where.upper() not in what else what)
    return "; ".join(found)


def _complaint(error: KubeError | RefusedError) -> str:
    """One line that says what is wrong and what to do."""
    if not isinstance(error, KubeError) or not error.not_found:
        return str(error)
    if error.reason == "NotFound":
        return f"{error.message}; trimtab get --all-namespaces shows the policies and runs that there are"
    return f"the cluster does not know Trimtab's resources ({error}); install them with the chart, or from crds/"


@app.command()
def version() -> None:
    """Print the version."""
    say(__version__)


@app.command()
def operator(
    prometheus_url: Annotated[str, typer.Option(help="Address of Prometheus.", envvar="TRIMTAB_PROMETHEUS_URL")],
    namespace: Annotated[list[str] | None, typer.Option("--namespace", "-n", help="Namespace to look after.")] = None,
    all_namespaces: Annotated[bool, typer.Option(help="Look after every namespace.")] = False,
    scrape_interval: Annotated[float | None, typer.Option(help="Scrape interval of Prometheus in seconds.")] = None,
    metric_label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="name=value that every series must have, as cluster=eu-1. May be repeated."),
    ] = None,
    allow_foreign_namespaces: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Namespace that queries may name beside the policy's own; * for all. May be repeated."
        ),
    ] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Port of the operator's metrics; 0 for none.")] = None,
    health_port: Annotated[int | None, typer.Option(help="Port of /healthz; 0 for none.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes for the analysis.")] = None,
    store_url: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of the store, default a file in ~/.local/state; none for memory only."),
    ] = None,
    max_open_runs: Annotated[
        str | None, typer.Option(help="Trials open at once: a count, or a share of the acting policies. Default 5%.")
    ] = None,
    pause_after_failures: Annotated[
        int | None, typer.Option(help="Failed trials within an hour, and most of them, that stop new ones. Default 3.")
    ] = None,
    switch_namespace: Annotated[
        str | None, typer.Option(help="Namespace of ConfigMap trimtab-switch; default the pod's own.")
    ] = None,
    lease_duration: Annotated[
        str | None, typer.Option(help="Another operator takes over after so long without a sign of this one (10s).")
    ] = None,
    lease_renew_deadline: Annotated[
        str | None, typer.Option(help="Write nothing once the lease could not be renewed for so long (7s).")
    ] = None,
    lease_retry_period: Annotated[
        str | None, typer.Option(help="Time between attempts to renew or take a lease (2s).")
    ] = None,
    lease_namespace: Annotated[
        str | None, typer.Option(help="Where the lease for all namespaces is; default the pod's namespace.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Run the operator until SIGTERM. Options may also come as TRIMTAB_* variables."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small problems: threads get in each other's way
    from trimtab.logs import configure
    from trimtab.running import run
    from trimtab.settings import Settings

    given: dict[str, object] = {
        "prometheus_url": prometheus_url,
        "namespaces": tuple(namespace) if namespace else None,
        "all_namespaces": all_namespaces or None,
        "scrape_interval_seconds": scrape_interval,
        "metric_labels": metric_label or None,
        "allow_foreign_namespaces": tuple(allow_foreign_namespaces) if allow_foreign_namespaces else None,
        "metrics_port": metrics_port,
        "health_port": health_port,
        "workers": workers,
        "store_url": store_url,
        "max_open_runs": max_open_runs,
        "pause_after_failures": pause_after_failures,
        "switch_namespace": switch_namespace,
        "lease_duration": lease_duration,
        "lease_renew_deadline": lease_renew_deadline,
        "lease_retry_period": lease_retry_period,
        "lease_namespace": lease_namespace,
        "log_format": log_format,
        "log_level": log_level,
        "kubeconfig": kubeconfig,
    }
    from pydantic_settings import SettingsError

    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        raise MalformedError(_faults(error)) from None  # whose own text may show what was given
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        name = f"TRIMTAB_{named[1].upper()}" if named else "a TRIMTAB_ variable"
        example = '{"X-Scope-OrgID": "shop"} or ["shop", "bank"]'
        raise MalformedError(f"{name}: is not JSON, which a map or a list must be, such as {example}") from None
    configure(settings.log_level, settings.log_format)
    asyncio.run(run(settings))


@app.command()
def get(
    namespace: Namespace = "default",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Every namespace.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show again every two seconds.")] = False,
    switch_namespace: SwitchNamespace = SWITCH_NAMESPACE,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show policies and their runs."""

    async def show(kube: KubeClient) -> None:
        scope, resources = None if all_namespaces else namespace, Resources(kube)
        while True:
            policies, runs = await resources.policies(scope), await resources.runs(scope)
            header = await stopped(kube, switch_namespace, policies)
            if watch:
                _out.clear()
            for line in header:
                _out.print(Text(line, style="bold yellow"))
            if policies:
                _out.print(overview(policies, runs, namespaced=all_namespaces, now=time.time()))
            else:
                say(f"no PerformancePolicy in {'any namespace' if all_namespaces else f'namespace {namespace}'}")
            if not watch:
                return
            await asyncio.sleep(2.0)

    _with_kube(kubeconfig, show)


@app.command()
def explain(policy: PolicyName, namespace: Namespace = "default", kubeconfig: Kubeconfig = None) -> None:
    """Explain a policy: state, evidence, what would be done and why, and YAML to copy."""

    async def show(resources: Resources) -> None:
        found = await resources.policy(namespace, policy)
        runs = [run for run in await resources.runs(namespace) if run.policy_name == policy]
        _out.print(explanation(found, sorted(runs, key=lambda run: run.created_at), now=time.time()))

    _with_resources(kubeconfig, show)


@app.command()
def pause(
    policy: OptionalPolicy = None,
    namespace: Namespace = "default",
    everything: Annotated[bool, typer.Option("--all", help="Every policy: no new write until resume --all.")] = False,
    reason: Annotated[str, typer.Option(help="Why, shown beside what is paused; with --all.")] = "",
    switch_namespace: SwitchNamespace = SWITCH_NAMESPACE,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Change nothing more under a policy, or under all; a trial under way is still ended."""
    if everything:
        _alone(policy, "--all")
        say(_with_kube(kubeconfig, lambda kube: pause_all(kube, switch_namespace, reason)))
        return
    name = _named(policy, "--all")
    _with_resources(kubeconfig, lambda resources: _set_paused(resources, namespace, name, paused=True))
    say(f"{name} is paused; trimtab resume {name} -n {namespace} to go on")


@app.command()
def resume(
    policy: OptionalPolicy = None,
    namespace: Namespace = "default",
    everything: Annotated[bool, typer.Option("--all", help="After pause --all.")] = False,
    fleet: Annotated[bool, typer.Option("--fleet", help="Begin trials again after too many failed.")] = False,
    switch_namespace: SwitchNamespace = SWITCH_NAMESPACE,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Go on after a pause, after a person's own change was held to, or after too many trials failed."""
    if everything or fleet:
        _alone(policy, "--all or --fleet")
        say(_with_kube(kubeconfig, lambda kube: resume_all(kube, switch_namespace, everything=everything, fleet=fleet)))
        return
    name = _named(policy, "--all or --fleet")
    _with_resources(kubeconfig, lambda resources: _set_paused(resources, namespace, name, paused=False))
    say(f"{name} goes on")


@app.command()
def release(
    run: Annotated[
        str | None, typer.Argument(help="Name of the OptimizationRun; default all of the namespace.")
    ] = None,
    namespace: Namespace = "default",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Let runs go that are being deleted while no operator is there to undo them; workloads are left as they are."""
    for line in _with_resources(kubeconfig, lambda resources: release_runs(resources, namespace, run)):
        say(line)


@app.command()
def approve(run: RunName, namespace: Namespace = "default", kubeconfig: Kubeconfig = None) -> None:
    """Approve the plan that a run shows now."""

    async def act(resources: Resources) -> str:
        found = await resources.run(namespace, run)
        plan = found.status.plan
        if found.phase is not Phase.AWAITING_APPROVAL or plan is None:
            why = f"run {run} is {found.phase.value}; only a run that is AwaitingApproval can be approved"
            raise RefusedError(f"{why}; {_instead_of_approval(found)}")
        await resources.patch_run_spec(found, {"approval": {"planHash": plan.hash}})
        return plan.reason

    say(f"approved: {_with_resources(kubeconfig, act)}")


@app.command()
def abort(run: RunName, namespace: Namespace = "default", kubeconfig: Kubeconfig = None) -> None:
    """End a run that is under way, and undo its change."""

    async def act(resources: Resources) -> None:
        found = await resources.run(namespace, run)
        if found.finished:
            raise RefusedError(
                f"run {run} has ended already: {found.phase.value};"
                f" trimtab undo {found.policy_name} -n {namespace} reverts a kept change"
            )
        await resources.patch_run_spec(found, {"cancelled": True})

    _with_resources(kubeconfig, act)
    say(f"{run} is being aborted")


@app.command()
def undo(policy: PolicyName, namespace: Namespace = "default", kubeconfig: Kubeconfig = None) -> None:
    """Undo the change that was kept last under a policy."""

    async def act(resources: Resources) -> str:
        found = await resources.policy(namespace, policy)
        last = _last_kept(found, await resources.runs(namespace))
        await resources.patch_run_spec(last, {"cancelled": True})
        return f"run {last.name} is being undone: {last.status.summary.change}"

    say(_with_resources(kubeconfig, act))


def _instead_of_approval(run: Run) -> str:
    if run.phase.unproven:
        return f"trimtab abort {run.name} -n {run.namespace} undoes it"
    return f"trimtab explain {run.policy_name} -n {run.namespace} says why"


def _last_kept(policy: Policy, runs: list[Run]) -> Run:
    kept = [run for run in runs if run.policy_name == policy.name and run.is_kept]
    if not kept:
        raise RefusedError(
            f"no run of {policy.name} has a kept change; trimtab get -n {policy.namespace} lists the runs"
        )
    return max(kept, key=lambda run: run.status.applied.at if run.status.applied else 0.0)


def _named(policy: str | None, options: str) -> str:
    """The policy that was named; raises UsageError without one."""
    if policy is None:
        raise typer.BadParameter(f"name a policy, or give {options}", param_hint="POLICY")
    return policy


def _alone(policy: str | None, options: str) -> None:
    """Raise UsageError where a policy was named beside an option for all of them."""
    if policy is not None:
        raise typer.BadParameter(f"{options} goes without the name of a policy, here {policy}", param_hint="POLICY")


async def _set_paused(resources: Resources, namespace: str, policy: str, *, paused: bool) -> None:
    body: dict[str, object] = {"spec": {"paused": paused}}
    if not paused:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body["metadata"] = {"annotations": {RESUMED_ANNOTATION: now}}
    await resources.patch_policy(namespace, policy, body)


def _with_resources(kubeconfig: Path | None, act: Callable[[Resources], Awaitable[_T]]) -> _T:
    return _with_kube(kubeconfig, lambda kube: act(Resources(kube)))


def _with_kube(kubeconfig: Path | None, act: Callable[[KubeClient], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        async with await KubeClient.connect(kubeconfig) as kube:
            return await act(kube)

    return asyncio.run(run())


if __name__ == "__main__":
    main()
