"""A mailbox to look into: an SMTP sink with a small web page, in memory and on loopback only."""
