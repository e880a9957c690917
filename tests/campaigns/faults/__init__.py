"""Every phase of the conversation with a mail server, and everything that can go wrong in it."""
