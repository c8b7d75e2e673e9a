"""Who decided what: kept, and shown to admins."""
