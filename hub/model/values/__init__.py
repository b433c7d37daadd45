"""Values of events: their kinds and rules, the bounds of dates and times, and notes about values that break a rule."""
