"""From a source's values to an event's: dates, numbers, texts, whole rows and columns."""
