"""Writing the statuses of policies: at once where something happened, and figures now and then."""

from __future__ import annotations

from typing import Final

import structlog

from trimtab.adapters.kube import KubeError
from trimtab.domain.fitting import fitted
from trimtab.domain.objects import Policy
from trimtab.domain.policy import PolicySpec
from trimtab.domain.status import PolicyStatus
from trimtab.reconcile.degraded import EVALUATION_LATE, late
from trimtab.reconcile.remembered import Remembered
from trimtab.reconcile.reporting import matters
from trimtab.reconcile.services import Services

VOLATILE_SECONDS: Final = 300.0
_VOLATILE_INTERVALS: Final = 5
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Statuses:
    """What is written of each policy."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def renew(self, policy: Policy, spec: PolicySpec, remembered: Remembered, status: PolicyStatus) -> None:
        """Write a composed status: volatile figures at most every five minutes or intervals. Raises KubeError."""
        pace = min(VOLATILE_SECONDS, _VOLATILE_INTERVALS * spec.analysis.interval)
        is_due = self._services.clock() - remembered.written_at >= pace
        if matters(remembered.written, status) or (is_due and status != remembered.written):
            await self._write(policy, remembered, status)

    async def tell(self, policy: Policy, remembered: Remembered, status: PolicyStatus, reason: str, text: str) -> None:
        """Write a status that was not composed from an evaluation, and say why in an Event, once."""
        try:
            if matters(remembered.status, status):
                await self._services.events.post(policy, "Warning", reason, text, self._services.clock())
                await self._write(policy, remembered, fitted(status))
        except KubeError as error:
            _log.warning("status not written", policy=policy.name, namespace=policy.namespace, error=str(error))

    async def tell_late(self, policy: Policy, remembered: Remembered, why: str) -> None:
        """Say of a policy that its status is old, and why it is not evaluated."""
        status = late(remembered.status, policy, remembered.evaluated_at, why, self._services.clock())
        await self.tell(policy, remembered, status, EVALUATION_LATE, why)

    async def _write(self, policy: Policy, remembered: Remembered, status: PolicyStatus) -> None:
        await self._services.resources.write_policy_status(policy, status)
        remembered.status = remembered.written = status
        remembered.written_at = self._services.clock()
