"""Bytes from outside become columns, in a child process that may end without harm."""
