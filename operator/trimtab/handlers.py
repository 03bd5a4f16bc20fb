"""Kopf handlers over our two custom resources: each tells the world what was seen and wakes the scheduler."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import kopf
from kubernetes import client, config

from trimtab.adapters.resources import POLICIES, RUNS
from trimtab.domain.objects import Policy, Run, parse_policy, parse_run
from trimtab.domain.policy import GROUP, VERSION
from trimtab.logs import SECRETS
from trimtab.wiring import Operator


class Told:
    """What handlers are given: it tells the operator, in the operator's own loop, what the watches saw."""

    def __init__(self, operator: Operator, loop: asyncio.AbstractEventLoop) -> None:
        self._operator = operator
        self._loop = loop
        self.namespaces = operator.namespaces
        self.clusterwide = operator.clusterwide

    def policy_seen(self, policy: Policy) -> None:
        """A policy is there."""
        self._loop.call_soon_threadsafe(self._operator.policy_seen, policy)

    def policy_gone(self, policy: Policy) -> None:
        """A policy was deleted."""
        self._loop.call_soon_threadsafe(self._operator.policy_gone, policy)

    def run_seen(self, run: Run) -> None:
        """A run is there."""
        self._loop.call_soon_threadsafe(self._operator.run_seen, run)

    def run_gone(self, run: Run) -> None:
        """A run was deleted."""
        self._loop.call_soon_threadsafe(self._operator.run_gone, run)


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, memo: Told, **_: Any) -> None:
    """No Events of Kopf's own, no handler bookkeeping on our objects, and no limit that slows a burst of events."""
    settings.scanning.disabled = not memo.clusterwide
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/kopf-is-not-used"
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1.0
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330  # for a connection of which the far end is gone without a word
    settings.networking.request_timeout = 30
    settings.process.ultimate_exiting_timeout = None  # whoever began the watches ends them, and the process goes on


@kopf.on.login()
async def login(logger: kopf.Logger, settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo | None:
    """What Kopf logs in with is shown in no log: it writes out what the API server answers."""
    found = _login(logger, settings)
    for secret in (found.token, found.password) if found is not None else ():
        SECRETS.hide(secret or "")
    return found


def _login(logger: kopf.Logger, settings: kopf.OperatorSettings) -> kopf.ConnectionInfo | None:
    """By the kubeconfig that ``KUBECONFIG`` names now, else as Kopf does: its client reads that name when imported."""
    kubeconfig = os.environ.get("KUBECONFIG")
    if kubeconfig is None:
        return kopf.login_via_client(logger=logger, settings=settings)
    found = client.Configuration()
    config.load_kube_config(config_file=kubeconfig, client_configuration=found)
    scheme, _space, token = (found.get_api_key_with_prefix("BearerToken") or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        username=found.username or None,
        password=found.password or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
        trust_env=settings.networking.trust_env,
    )


@kopf.on.event(GROUP, VERSION, POLICIES)
async def policy_seen(event: kopf.RawEvent, memo: Told, **_: Any) -> None:
    """A policy was listed, made, changed or deleted."""
    policy = parse_policy(dict(event["object"]))
    if event["type"] == "DELETED":
        memo.policy_gone(policy)
    else:
        memo.policy_seen(policy)


@kopf.on.event(GROUP, VERSION, RUNS)
async def run_seen(event: kopf.RawEvent, memo: Told, **_: Any) -> None:
    """A run was listed, made, changed or deleted."""
    run = parse_run(dict(event["object"]))
    if event["type"] == "DELETED":
        memo.run_gone(run)
    else:
        memo.run_seen(run)
