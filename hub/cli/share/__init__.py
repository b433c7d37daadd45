"""Commands of the way out: `hub share`, `hub portal`."""
