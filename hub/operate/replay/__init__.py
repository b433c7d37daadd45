"""Replays: plan, shadow, run, difference, switch, undo."""
