"""What is done about a score: policy packs, the decision, and the audit stream that proves it."""
