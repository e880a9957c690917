"""The daemons and the command line: the only place that knows Kafka, signals and the clock."""
