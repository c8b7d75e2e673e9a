"""Measuring answers against golden questions."""
