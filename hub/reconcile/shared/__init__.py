"""What the steps of the merge share: conditions, the order of events, officers' decisions, the stage."""
