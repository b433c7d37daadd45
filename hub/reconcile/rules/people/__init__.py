"""Rules about people: deaths and what they end, doubts about who is who."""
