"""The Faust app: the worker's process, supervision, health page, and agents with state."""
