"""Everything the hub holds of one thing: claims, record, questions, history; masked unless unmasking is recorded."""
