"""The demonstration: the whole story on a real API server and a real Prometheus, checked as it happens."""
