"""Sources become pages, pages become chunks, chunks become a searchable index."""
