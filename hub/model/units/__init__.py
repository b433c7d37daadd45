"""Administrative units over time; pure functions."""
