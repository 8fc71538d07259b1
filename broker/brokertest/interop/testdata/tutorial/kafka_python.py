"""A first kafka-python producer, with JSON serialisers. Usage: kafka_python.py BOOTSTRAP TOPIC COUNT"""
import json
import sys

from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=[sys.argv[1]],
    acks="all",
    key_serializer=str.encode,
    value_serializer=lambda v: json.dumps(v).encode("utf-8"),
)
for i in range(int(sys.argv[3])):
    key, value = "key-%d" % (i % 10), {"number": i, "text": "message"}
    future = producer.send(sys.argv[2], key=key, value=value)
    metadata = future.get(timeout=10)
    print(metadata.partition, metadata.offset, key, json.dumps(value), sep="\t")
producer.flush()
producer.close()
