"""Action cards: what is proposed, confirmed by a person, and then done once."""
