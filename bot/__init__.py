"""The conversation: the model loop, its memory, the action cards and the surfaces."""
