"""Run by Alembic, always on the connection that `bot.database` hands over."""

from alembic import context

from bot.store import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
