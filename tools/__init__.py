"""Everything that can be looked up or done, as plain async functions that need no model."""
