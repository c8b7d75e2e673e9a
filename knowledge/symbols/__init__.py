"""What the configured Prefect has: its commands, settings and names, read from its files, never imported."""
