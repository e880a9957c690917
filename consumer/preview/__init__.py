"""Mails before they are sent: one event's, or all that there are as a gallery."""
