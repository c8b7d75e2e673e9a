"""Cards keep what came of them in detail, and which card takes which one back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("cards", schema=None) as batch_op:
        batch_op.add_column(sa.Column("details", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("undoes", sa.String(length=40), nullable=True))
        batch_op.create_index(batch_op.f("ix_cards_undoes"), ["undoes"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("cards", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_cards_undoes"))
        batch_op.drop_column("undoes")
        batch_op.drop_column("details")
