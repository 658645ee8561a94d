"""Kafka in and out: the worker's loop, its transaction, rebalances, dead letters, topics."""
