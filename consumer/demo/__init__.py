"""The first minute: a mock broker, SQLite, the inbox and made-up events, on one machine."""
