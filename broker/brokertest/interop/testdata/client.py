"""Client.java's twin for kafka-python and, as "librdkafka", confluent-kafka: see there for lines and usage."""
import base64
import sys


def decode(s):
    return None if s == "-" else base64.b64decode(s)


def encode(b):
    return "-" if b is None else base64.b64encode(b).decode()


def lines():
    for line in sys.stdin:
        key, value, timestamp, headers = line.rstrip("\n").split("\t")
        pairs = [h.split("=", 1) for h in headers.split(",")] if headers else []
        yield decode(key), decode(value), int(timestamp), [(name, decode(v)) for name, v in pairs]


def produce_python(bootstrap, topic, codec):
    from kafka import KafkaProducer
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type=None if codec == "none" else codec)
    sent = [producer.send(topic, partition=0, key=k, value=v, timestamp_ms=t, headers=h) for k, v, t, h in lines()]
    for future in sent:
        print(future.get(timeout=20).offset)
    producer.close()


def consume_python(bootstrap, topic, count):
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    for r in consumer:
        headers = ",".join(name + "=" + encode(v) for name, v in r.headers)
        print(r.offset, encode(r.key), encode(r.value), r.timestamp, headers, sep="\t")
        count -= 1
        if count == 0:
            return
    sys.exit("%d records did not come" % count)


def produce_librdkafka(bootstrap, topic, codec):
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True})
    offsets, errors = [], []

    def done(err, msg):
        errors.append(err) if err else offsets.append(msg.offset())

    for key, value, timestamp, headers in lines():
        producer.produce(topic, value, key, partition=0, timestamp=timestamp, headers=headers, on_delivery=done)
    producer.flush(20)
    if errors:
        sys.exit(str(errors[0]))
    for offset in offsets:
        print(offset)


def consume_librdkafka(bootstrap, topic, count):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    while count > 0:
        r = consumer.poll(20)
        if r is None or r.error():
            sys.exit("%d records did not come: %s" % (count, r and r.error()))
        headers = ",".join(name + "=" + encode(v) for name, v in r.headers() or [])
        print(r.offset(), encode(r.key()), encode(r.value()), r.timestamp()[1], headers, sep="\t")
        count -= 1
    consumer.close()


verb, family, bootstrap, topic, last = sys.argv[1:]
globals()[verb + "_" + family](bootstrap, topic, int(last) if verb == "consume" else last)
