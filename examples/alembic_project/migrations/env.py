"""As `alembic init` writes it, but for one line of recovery."""

import os

import sqlalchemy as sa
from alembic import context
from models import Base

import recovery.migrations  # noqa: F401

target_metadata = Base.metadata
url = sa.make_url(os.environ["RECOVERY_DSN"]).set(drivername="postgresql+psycopg")


def run_migrations_offline() -> None:
    context.configure(
        url=url,
        target_metadata=target_metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
