"""Settings of the operator: from TRIMTAB_* variables, overridden by command-line options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from trimtab.adapters.credentials import check_headers, read_address
from trimtab.adapters.prometheus_connection import PrometheusSettings
from trimtab.adapters.promql_scope import Scope, labels_of
from trimtab.adapters.store_engine import check_url
from trimtab.adapters.switch import SWITCH_NAMESPACE
from trimtab.domain.lease import LeaseTiming
from trimtab.domain.units import Duration, Quantity
from trimtab.planning.fleet import OpenLimit

NO_STORE = "none"
_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def default_store_url() -> str:
    """A file where programs keep their state: below ``XDG_STATE_HOME``, or ``~/.local/state``."""
    home = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return f"sqlite:///{folder / 'trimtab' / 'trimtab.db'}"


def own_namespace() -> str:
    """The namespace in which this process runs, as its pod knows it; ``default`` outside of a pod."""
    if named := os.environ.get("POD_NAMESPACE"):
        return named
    try:
        return _SERVICE_ACCOUNT_NAMESPACE.read_text().strip() or "default"
    except OSError:
        return "default"


class Settings(BaseSettings):
    """Everything that is the operator's and not a policy's."""

    model_config = SettingsConfigDict(
        env_prefix="TRIMTAB_",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    prometheus_url: str = Field(repr=False)
    """Address of anything that speaks the Prometheus API; a user and a password in it are told to nobody else."""
    prometheus_headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """Headers for every query, such as a tenant's X-Scope-OrgID."""
    prometheus_bearer_token_file: Path | None = None
    """File with a bearer token for Prometheus; read anew when it changes."""
    prometheus_ca_file: Path | None = None
    """CA bundle for Prometheus."""
    prometheus_timeout_seconds: float = Field(20.0, gt=0)
    """Longest wait for one query."""
    prometheus_max_answer: Quantity = Field("32Mi", validate_default=True, ge=2**20, le=2**30)
    """Largest answer of Prometheus, in bytes; more is asked for in parts."""
    kubernetes_max_answer: Quantity = Field("64Mi", validate_default=True, ge=2**20, le=2**30)
    """Largest answer of the API server, in bytes; longer lists are read in smaller pages."""
    scrape_interval_seconds: float = Field(30.0, gt=0)
    """Scrape interval of the metrics: a rate's window is at least four of these."""
    metric_labels: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """Labels that every series must have, as cluster=eu-1,env=prod, where one Prometheus holds several clusters."""
    allow_foreign_namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces beside its own that a policy's queries may name, as ingress-nginx,istio-system; * for all."""
    namespaces: tuple[str, ...] = ()
    """Namespaces that are looked after."""
    all_namespaces: bool = False
    """Look after every namespace."""
    kubeconfig: Path | None = None
    """Kubeconfig; default the pod's service account, else KUBECONFIG, else ~/.kube/config."""
    metrics_port: int = Field(8080, ge=0, le=65535)
    """Port of the operator's own metrics; 0 for none."""
    health_port: int = Field(8081, ge=0, le=65535)
    """Port of /healthz; 0 for none."""
    workers: int = Field(1, ge=0, le=64)
    """Processes for the analysis; 0 runs it in the operator's own."""
    store_url: str = Field(default_factory=default_store_url, repr=False)
    """SQLAlchemy URL of the analytics store; none keeps everything in memory."""
    store_interval_seconds: float = Field(60.0, gt=0)
    """Samples are stored at most so often."""
    store_state_interval_seconds: float = Field(300.0, gt=0)
    """What was learned of a policy is stored at most so often, and at the end."""
    store_retention: Duration = Field("2160h", validate_default=True, gt=0)
    """How long anomalies and changes of models are kept."""
    max_open_runs: str = "5%"
    """Trials that may be open at once, under the operator and in each namespace: a count, or a share of the policies in
    mode Auto or Approve, which is at least 3."""
    pause_after_failures: int = Field(3, ge=1, le=10_000)
    """So many trials that fail within an hour, and more than half of those that ended in it, stop new ones."""
    switch_namespace: str | None = None
    """Namespace of the ConfigMap trimtab-switch; default the pod's own, else the first that is looked after."""
    lease_duration: Duration = Field("10s", validate_default=True, gt=0)
    """Another operator takes over when this one has not renewed its lease for so long."""
    lease_renew_deadline: Duration = Field("7s", validate_default=True, gt=0)
    """Nothing is written once the lease could not be renewed for so long."""
    lease_retry_period: Duration = Field("2s", validate_default=True, gt=0)
    """Between two attempts to renew or to take a lease."""
    lease_namespace: str = Field("", pattern="^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", max_length=63)
    """Where the lease of an operator for all namespaces is; default POD_NAMESPACE or the service account's."""
    log_format: str = Field("json", pattern="^(json|console)$")
    """json or console."""
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Least severity that is logged."""

    @field_validator("prometheus_url")
    @classmethod
    def _reachable(cls, url: str) -> str:
        read_address(url, "TRIMTAB_PROMETHEUS_URL")
        return url

    @field_validator("prometheus_headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        check_headers(headers, "TRIMTAB_PROMETHEUS_HEADERS")
        return headers

    @field_validator("metric_labels", mode="before")
    @classmethod
    def _labels(cls, given: object) -> object:
        if isinstance(given, str):
            given = [pair for pair in given.split(",") if pair.strip()]
        return dict(labels_of(given, "--metric-label")) if isinstance(given, list | tuple) else given

    @field_validator("allow_foreign_namespaces", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        return tuple(name.strip() for name in given.split(",") if name.strip()) if isinstance(given, str) else given

    @field_validator("store_url")
    @classmethod
    def _openable(cls, url: str) -> str:
        if url != NO_STORE:
            check_url(url)
        return url

    @field_validator("max_open_runs")
    @classmethod
    def _limit(cls, text: str) -> str:
        OpenLimit.parse(text)
        return text

    @property
    def switch_in(self) -> str:
        """Namespace of the switch."""
        if self.switch_namespace:
            return self.switch_namespace
        if self.kubeconfig is None and _SERVICE_ACCOUNT_NAMESPACE.exists():
            return _SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
        return self.namespaces[0] if self.namespaces else SWITCH_NAMESPACE

    @property
    def scope(self) -> Scope:
        """Whose series policies may read."""
        return Scope(tuple(self.metric_labels.items()), self.allow_foreign_namespaces)

    @model_validator(mode="after")
    def _scope(self) -> Self:
        if self.all_namespaces == bool(self.namespaces):
            raise ValueError("give either --namespace NAME (as often as needed) or --all-namespaces")
        return self

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        assert self.lease_timing, "raises ValueError where the paces do not fit each other"
        assert self.prometheus, "raises ValueError where two logins are given"
        return self

    @property
    def prometheus(self) -> PrometheusSettings:
        """How Prometheus is asked. Raises CredentialError where two logins are given."""
        return PrometheusSettings(
            url=self.prometheus_url,
            headers=self.prometheus_headers,
            bearer_token_file=self.prometheus_bearer_token_file,
            ca_file=self.prometheus_ca_file,
            matchers=self.scope.matchers,
            timeout_seconds=self.prometheus_timeout_seconds,
            max_answer_bytes=int(self.prometheus_max_answer),
        )

    @property
    def lease_timing(self) -> LeaseTiming:
        """Paces of the election."""
        return LeaseTiming(self.lease_duration, self.lease_renew_deadline, self.lease_retry_period)
