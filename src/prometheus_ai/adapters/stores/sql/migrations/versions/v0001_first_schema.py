"""First schema: backends, releases, replicas, windows, tokens, settings and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.String(64)
TIME = sa.String(32)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    _create_backends()
    _create_replicas()
    _create_windows()
    _create_access()
    _create_audit()


def _create_backends() -> None:
    op.create_table(
        "backends",
        sa.Column("name", NAME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("stable", NAME),
        sa.Column("previous", NAME),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("in_force", sa.Text(), nullable=False),
        sa.Column("is_deleting", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_backends"),
    )
    op.create_table(
        "releases",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("backend", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["backend"], ["backends.name"], name="fk_releases_backends"),
        sa.PrimaryKeyConstraint("id", name="pk_releases"),
        sa.UniqueConstraint("backend", "number", name="uq_releases_backend_number"),
        sa.UniqueConstraint("backend", "version", name="uq_releases_backend_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_releases_backend_digest", "releases", ["backend", "digest"])
    op.create_table(
        "release_states",
        sa.Column("backend", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("replicas_wanted", sa.Integer(), nullable=False),
        sa.Column("phase_since", TIME, nullable=False),
        sa.Column("unrouted_since", TIME),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        _of_release("fk_release_states_releases"),
        sa.PrimaryKeyConstraint("backend", "version", name="pk_release_states"),
    )


def _create_replicas() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(160), nullable=False),
        sa.Column("backend", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("target", NAME, nullable=False),
        sa.Column("goal", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("ready_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("drain_since", TIME),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("stop_cause", sa.String(32)),
        sa.Column("exit", sa.Text()),
        _of_release("fk_replicas_releases"),
        sa.PrimaryKeyConstraint("id", name="pk_replicas"),
    )
    op.create_index("ix_replicas_ended_at_backend", "replicas", ["ended_at", "backend"])
    op.create_index("ix_replicas_backend_version", "replicas", ["backend", "version"])


def _of_release(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["backend", "version"], ["releases.backend", "releases.version"], name=name
    )


def _create_windows() -> None:
    op.create_table(
        "windows",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("backend", NAME, nullable=False),
        sa.Column("version", NAME, nullable=False),
        sa.Column("start_at", TIME, nullable=False),
        sa.Column("end_at", TIME, nullable=False),
        sa.Column("span_s", sa.Integer(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("client_errors", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("retries", sa.BigInteger(), nullable=False),
        sa.Column("latency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_windows"),
    )
    op.create_index("ix_windows_end_at", "windows", ["end_at"])
    op.create_index("ix_windows_backend_end_at", "windows", ["backend", "end_at"])
    op.create_index("ix_windows_span_s_end_at", "windows", ["span_s", "end_at"])


def _create_access() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", NAME, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("revoked_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("secret_hash", name="uq_tokens_secret_hash"),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )


def _create_audit() -> None:
    op.create_table(
        "audit_records",
        sa.Column("position", BIG, autoincrement=False, nullable=False),
        sa.Column("backend", NAME),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_audit_records"),
    )
    op.create_index("ix_audit_records_backend_position", "audit_records", ["backend", "position"])
    op.create_table(
        "audit_nodes",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_nodes"),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root_hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
