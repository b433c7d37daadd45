"""Texts: how to compare names and letters, how to show text from outside, and which name somebody meant."""
