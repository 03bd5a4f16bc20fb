"""pause, resume, undo, abort, dry runs, and how many runs are kept."""
