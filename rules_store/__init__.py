"""Which rules a tenant has, and what they make of an event."""
