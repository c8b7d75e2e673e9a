"""Slack's edge: the only place that knows Slack's limits, blocks and errors."""
