"""What a series shows: quality, level, trend and seasons. Numpy in, frozen dataclasses out; no I/O, no clock."""
