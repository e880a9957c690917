"""What things are: domain values, Avro schemas, codecs and the error tree."""
