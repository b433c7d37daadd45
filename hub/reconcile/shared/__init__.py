"""What the steps of the merge share: conditions, order of events, officers' decisions, the stage."""
