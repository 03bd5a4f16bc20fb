"""Requests to Prometheus grow with namespaces and signals, not with policies."""
