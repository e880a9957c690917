"""Delivery daemons killed under load: nothing lost, every further copy known to be in doubt."""
