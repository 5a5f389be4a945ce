"""The revision that adds recovery, as `alembic revision --autogenerate` wrote it."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.install_recovery("recovery_0001")
    op.create_watch(
        "job",
        open="r.status = 'running'",
        close={"status": "'failed'", "error": "c.message"},
    )


def downgrade() -> None:
    op.drop_watch("job")
    op.uninstall_recovery(existing="recovery_0001")
