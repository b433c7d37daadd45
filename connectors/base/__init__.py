"""What every connector is: the port, and why a row cannot become an event."""
