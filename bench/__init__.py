"""Benchmarks, each run by `make bench-NAME`; the last line is `name=value …`."""
