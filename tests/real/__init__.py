"""The real parts that tests stand on: found, or started on loopback, and ended again."""
