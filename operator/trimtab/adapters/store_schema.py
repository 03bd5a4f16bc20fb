"""Tables of the store, as the newest migration leaves them; nothing in them is one database's own."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

policies = Table(
    "policies",
    metadata,
    Column("uid", String(64), primary_key=True),
    Column("namespace", String(253), nullable=False),
    Column("name", String(253), nullable=False),
    Column("seen_at", Double, nullable=False),
)
"""Policies that were looked after, and when they were last seen; times are unix seconds everywhere."""

samples = Table(
    "samples",
    metadata,
    Column("policy_uid", String(64), primary_key=True),
    Column("slot", String(400), primary_key=True),
    Column("chunk", BigInteger, primary_key=True, autoincrement=False),
    Column("step_seconds", Double, nullable=False),
    Column("unit", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""Samples of one series over one chunk: a fixed number of steps, counted from the epoch."""

states = Table(
    "states",
    metadata,
    Column("policy_uid", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("fingerprint", String(32), nullable=False),
    Column("at", Double, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""What is known of a policy's workload, encoded; of use only to a program whose types have the same fingerprint."""

anomalies = Table(
    "anomalies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("policy_uid", String(64), nullable=False),
    Column("namespace", String(253), nullable=False),
    Column("policy", String(253), nullable=False),
    Column("signal", String(400), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("severity", String(64), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("value", Double),
    Column("expected", Double),
    Column("score", Double),
    Column("evidence", Text, nullable=False),
    Index("anomalies_by_policy", "policy_uid", "signal", "started_at"),
    Index("anomalies_by_time", "started_at"),
)
"""Unusual stretches; one that goes on has no end yet. A number that is none is NULL."""

model_changes = Table(
    "model_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("policy_uid", String(64), nullable=False),
    Column("namespace", String(253), nullable=False),
    Column("policy", String(253), nullable=False),
    Column("at", Double, nullable=False),
    Column("from_model", String(64), nullable=False),
    Column("to_model", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Index("model_changes_by_policy", "policy_uid", "at"),
    Index("model_changes_by_time", "at"),
)
"""Changes of the model that forecasts a policy's demand."""
