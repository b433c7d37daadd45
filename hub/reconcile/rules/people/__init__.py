"""Rules about people: deaths and what they end, doubts about identity."""
