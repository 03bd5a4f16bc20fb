"""Missing, empty, stale, NaN or absurd metrics start no change and end a trial as the policy says."""
