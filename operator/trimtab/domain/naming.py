"""Names of objects that are made for a policy: valid for every name that a policy can have."""

from __future__ import annotations

import hashlib
from typing import Final

_LONGEST_LABEL_VALUE: Final = 63
_POLICY_CHARACTERS: Final = 50
_DIGEST_CHARACTERS: Final = 10


def shortened(name: str, characters: int) -> str:
    """The beginning of an object's name, such that it is a name itself, and a label's value.

    >>> shortened("checkout", 50), shortened("shop.eu-1", 5), shortened("shop-.eu", 6)
    ('checkout', 'shop', 'shop')
    """
    return name[:characters].rstrip("-._")


def policy_label(policy: str) -> str:
    """The value by which runs are labelled with their policy."""
    return shortened(policy, _LONGEST_LABEL_VALUE)


def run_name(policy: str, policy_uid: str, plan_hash: str, last_finished: str) -> str:
    """Name of the run that tries a plan under a policy, after the run that finished last (by uid; empty: none).

    Whoever makes it, and however often, gives it the same name, so that there is one. The next run of the same plan
    has another name, as another run has finished by then.

    >>> run_name("checkout", "5f0e", "3f9c", "")
    'checkout-0438c1a0de'
    """
    digest = hashlib.sha256("|".join((policy_uid, plan_hash, last_finished)).encode()).hexdigest()
    return f"{shortened(policy, _POLICY_CHARACTERS)}-{digest[:_DIGEST_CHARACTERS]}"
