"""Ways to read a table so that no row is missed."""
