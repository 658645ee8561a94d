"""Throughput, latency and rebalances of the worker, beside what a user would use instead."""
