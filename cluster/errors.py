"""What can go wrong here, each with the remedy in its message."""

from __future__ import annotations


class ClusterError(Exception):
    """Base of all errors of this package; the message is meant for a person."""


class ToolMissingError(ClusterError):
    """A program that must be installed is not, or is too old."""


class BuildError(ClusterError):
    """A tool could not be built from its Go module."""


class ComponentDiedError(ClusterError):
    """A component ended while it was being started; the message has the last lines of its log."""


class NotReadyError(ClusterError):
    """A component runs but did not become ready in time."""


class StateError(ClusterError):
    """A cluster of that name runs already, or none does."""
