"""From (event, rule, recipient) to a mail, and from a mail to the mail server; knows no Kafka."""
