"""Frozen types that everything else speaks; imports nothing of ours."""
