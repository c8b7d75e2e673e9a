"""The demo: a real Prefect server of its own with sample flows, and what is shown on it."""
