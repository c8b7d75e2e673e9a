"""The border that all text of an answer passes on its way to people."""
