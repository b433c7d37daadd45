"""Administrative units over time, pure."""
