"""The worker on a real broker, against the floor of its own loop."""
