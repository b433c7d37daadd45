"""Everything the hub holds of one thing: claims, record, questions, history; masked unless noted."""
