"""Each mode does what it says and no more; Approve waits for a person."""
