"""Policies, samples, states, anomalies and changes of models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_table(
        "policies",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("name", sa.String(253), nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
    op.create_table(
        "samples",
        sa.Column("policy_uid", sa.String(64), primary_key=True),
        sa.Column("slot", sa.String(400), primary_key=True),
        sa.Column("chunk", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("step_seconds", sa.Double, nullable=False),
        sa.Column("unit", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "states",
        sa.Column("policy_uid", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "anomalies",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("policy_uid", sa.String(64), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("policy", sa.String(253), nullable=False),
        sa.Column("signal", sa.String(400), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(64), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("value", sa.Double),
        sa.Column("expected", sa.Double),
        sa.Column("score", sa.Double),
        sa.Column("evidence", sa.Text, nullable=False),
    )
    op.create_index("anomalies_by_policy", "anomalies", ["policy_uid", "signal", "started_at"])
    op.create_index("anomalies_by_time", "anomalies", ["started_at"])
    op.create_table(
        "model_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("policy_uid", sa.String(64), nullable=False),
        sa.Column("namespace", sa.String(253), nullable=False),
        sa.Column("policy", sa.String(253), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("from_model", sa.String(64), nullable=False),
        sa.Column("to_model", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("model_changes_by_policy", "model_changes", ["policy_uid", "at"])
    op.create_index("model_changes_by_time", "model_changes", ["at"])
