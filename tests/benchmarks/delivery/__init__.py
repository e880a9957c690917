"""How fast mails get from the outgoing-mail topic to a mail server, beside two simpler ways."""
