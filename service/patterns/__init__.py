"""A person's recorded days, and what they say."""
