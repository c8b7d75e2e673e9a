"""Sentences about the workspace, understood and acted upon without a model."""
