"""`push-services dead-letters`: each command imports what it needs inside itself."""
