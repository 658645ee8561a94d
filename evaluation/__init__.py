"""What models and policies do to people, measured. It knows detectors and enforcement, and not Kafka."""
