"""A real Apache Kafka for development: for tests, the demo, benchmarks and `safestream broker`."""

from stream.local_broker.choice import Broker, development_broker, own_broker
from stream.local_broker.process import LocalBroker

__all__ = ["Broker", "LocalBroker", "development_broker", "own_broker"]
