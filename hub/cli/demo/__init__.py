"""Command `hub demo`."""
