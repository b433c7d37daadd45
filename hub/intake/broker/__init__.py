"""The intake's side of the broker: its consumer, where it may read, polls, group offsets."""
