"""Dossiers: states, working time, deadlines; pure functions."""
