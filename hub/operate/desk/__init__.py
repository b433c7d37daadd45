"""The officers' desk: decisions, people who approve, the policy, the calendar of working days."""
