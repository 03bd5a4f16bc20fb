"""Repeatable noise: a hash of (seed, bucket), so that a value depends on its time and not on earlier draws.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014). History that is filled in afterwards and values seen live agree because both ask for
the same bucket.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from trimtab.domain.series import FloatArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def uniform(seed: ArrayLike, bucket: ArrayLike) -> FloatArray:
    """Uniform values in (0, 1), one for each (seed, bucket); the two broadcast. At least one-dimensional.

    >>> bool((uniform(1, [5, 6]) == uniform(1, [4, 5, 6])[1:]).all())
    True
    """
    x = np.atleast_1d(np.asarray(bucket, dtype=np.float64)).astype(np.int64).view(np.uint64)
    x = x + np.atleast_1d(np.asarray(seed, dtype=np.int64)).view(np.uint64) * _MIX_1
    x = (x + np.uint64(1)) * _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def normal(seed: ArrayLike, bucket: ArrayLike) -> FloatArray:
    """Standard normal values, one for each (seed, bucket), by inversion of `uniform`."""
    values: FloatArray = ndtri(uniform(seed, bucket))
    return values
