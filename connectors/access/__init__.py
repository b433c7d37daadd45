"""Ways to read a table without missing a row."""
