"""The tables. Times are UTC text of fixed width, so that they sort; nested values are JSON text."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

TIME = String(32)
BIG = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite makes only an ``INTEGER`` key the row's own key; its integers have 64 bits anyway."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

backends = Table(
    "backends",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", TIME, nullable=False),
    Column("stable", String(64)),
    Column("previous", String(64)),
    Column("wanted", Text, nullable=False),
    Column("in_force", Text, nullable=False),
    Column("is_deleting", Boolean(create_constraint=False), nullable=False),
    Column("revision", BigInteger, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("backend", String(64), ForeignKey("backends.name"), nullable=False),
    Column("version", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("spec", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("created_by", Text, nullable=False),
    UniqueConstraint("backend", "version"),
    UniqueConstraint("backend", "number"),
    Index(None, "backend", "digest"),
    sqlite_autoincrement=True,  # ids name cache entries, so none is ever given twice
)

release_states = Table(
    "release_states",
    metadata,
    Column("backend", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("phase", String(16), nullable=False),
    Column("replicas_wanted", Integer, nullable=False),
    Column("phase_since", TIME, nullable=False),
    Column("unrouted_since", TIME),
    Column("failure", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    ForeignKeyConstraint(["backend", "version"], ["releases.backend", "releases.version"]),
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("backend", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("target", String(64), nullable=False),
    Column("goal", String(16), nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("ready_at", TIME),
    Column("ended_at", TIME),
    Column("drain_since", TIME),
    Column("reason", Text, nullable=False),
    Column("stop_cause", String(32)),
    Column("exit", Text),
    ForeignKeyConstraint(["backend", "version"], ["releases.backend", "releases.version"]),
    Index(None, "ended_at", "backend"),
    Index(None, "backend", "version"),
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

windows = Table(
    "windows",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("backend", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("start_at", TIME, nullable=False),
    Column("end_at", TIME, nullable=False),
    Column("span_s", Integer, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("client_errors", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("retries", BigInteger, nullable=False),
    Column("latency", Text, nullable=False),
    Index(None, "end_at"),
    Index(None, "backend", "end_at"),
    Index(None, "span_s", "end_at"),
)
"""``span_s`` is the span to which compaction has merged a row; 0 as measured."""

decisions = Table(
    "decisions",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("at", TIME, nullable=False),
    Column("backend", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("decider", String(16), nullable=False),
    Column("act", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Index(None, "backend", "decider", "id"),
    Index(None, "at"),
    sqlite_autoincrement=True,  # people name decisions by their ids
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("secret_hash", LargeBinary(64), nullable=False, unique=True),
    Column("created_at", TIME, nullable=False),
    Column("revoked_at", TIME),
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)

audit_records = Table(
    "audit_records",
    metadata,
    Column("position", BIG, primary_key=True, autoincrement=False),
    Column("backend", String(64)),
    Column("event", Text, nullable=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Index(None, "backend", "position"),
)

audit_nodes = Table(
    "audit_nodes",
    metadata,
    Column("id", BIG, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)
"""Ids number the tree in order: leaf ``i`` is ``2 i``, and a parent lies between its children."""

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root_hash", LargeBinary(32), nullable=False),
)
