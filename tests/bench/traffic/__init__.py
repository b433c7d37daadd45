"""Processes beside a benchmark: one sends events at a steady rate, others note what they see."""
