"""A model of a service under load, on two clocks: live over real workloads, and virtual for tests and backtests."""
