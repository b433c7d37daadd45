"""Command `hub trace`."""
