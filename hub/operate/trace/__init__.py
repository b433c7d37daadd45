"""Where is it? Every hop of a thing's events."""
