"""What a user would write first: consume, `transformers.pipeline`, produce. One text at a time, no transaction.

    python naive_app.py BOOTSTRAP IN OUT MODEL_DIRECTORY

MODEL_DIRECTORY is an ordinary sequence classifier with the encoder of our text detector, so the work is the same.
"""

import io
import json
import sys

import fastavro
import torch
from confluent_kafka import Consumer, Producer
from transformers import pipeline

from schemas.registry import open_registry

bootstrap, source, target, model = sys.argv[1:5]
torch.set_num_threads(1)
classify = pipeline("text-classification", model=model, tokenizer=model, top_k=None, device="cpu")
registry = open_registry()
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "naive", "auto.offset.reset": "earliest"})
producer = Producer({"bootstrap.servers": bootstrap})
consumer.subscribe([source])
print("ready", flush=True)
while True:
    message = consumer.poll(1.0)
    if message is None or message.error():
        continue
    value = message.value()
    body = io.BytesIO(value)
    body.seek(5)
    event = fastavro.schemaless_reader(body, registry.by_id(int.from_bytes(value[1:5], "big")).parsed, None)
    scores = classify(event["text"], truncation=True)
    producer.produce(target, json.dumps({"event_id": event["event_id"], "scores": scores}), message.key())
    producer.poll(0)
