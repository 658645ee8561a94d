"""Rival (a): the plainest exactly-once loop of confluent-kafka and fastavro, one thread, one transaction a batch."""

import sys

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from work import Work


def main(bootstrap: str, source: str, decisions: str, audit: str, batch: int) -> None:
    """Run until killed."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": decisions,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": decisions,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
        }
    )
    producer.init_transactions(30)
    consumer.subscribe([source])
    moderate = Work().moderate
    while True:
        messages = consumer.consume(batch, 0.1)
        if not messages:
            continue
        producer.begin_transaction()
        ends: dict[int, int] = {}
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            partition, offset = message.partition(), message.offset()
            key, decision, leaf = moderate(message.value(), partition, offset)
            producer.produce(decisions, decision, key)
            producer.produce(audit, leaf, key, partition)
            ends[partition] = offset + 1
        offsets = [TopicPartition(source, partition, end) for partition, end in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
        producer.commit_transaction()


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
