"""Sockets that only this machine can reach."""

import errno
import socket

LOOPBACK = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one, and so does one that is taken."""
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return socket.create_server((LOOPBACK, 0))
