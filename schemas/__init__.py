"""The contract: Avro schemas, wire format, compatibility, and the names that every part shares."""
