"""What was begun is followed to its end."""
