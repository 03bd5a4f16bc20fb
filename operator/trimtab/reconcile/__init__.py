"""One round: gather what is known, decide in pure functions, act at the edge, record what was done."""
