"""Trimtab: a Kubernetes operator that tunes workloads, proves each change and undoes what did not help."""

__version__ = "0.1.0"
