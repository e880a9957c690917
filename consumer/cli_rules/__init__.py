"""`push-services rules`: what tenants want; each command imports what it needs inside itself."""
