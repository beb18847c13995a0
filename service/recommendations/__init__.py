"""What a person might do next, and why."""
