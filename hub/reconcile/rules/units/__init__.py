"""Rules about administrative units over time."""
