"""What the answers of a thread were about, so that `why did it fail?` is understood there."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "topics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("conversation", sa.String(length=200), nullable=False),
        sa.Column("team", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("workspace", sa.String(length=200), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("topics", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_topics_conversation"), ["conversation"], unique=False)
        batch_op.create_index(batch_op.f("ix_topics_user_id"), ["user_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_topics_created_at"), ["created_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("topics", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_topics_created_at"))
        batch_op.drop_index(batch_op.f("ix_topics_user_id"))
        batch_op.drop_index(batch_op.f("ix_topics_conversation"))
    op.drop_table("topics")
