"""What a replay reads: the topics, and behind them the archive, as one log."""
