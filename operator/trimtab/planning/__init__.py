"""Pure decisions: what a workload can carry, what to change, and whether a change was good. No I/O, no clock."""
