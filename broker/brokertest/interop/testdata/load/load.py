"""Load.java's twin on librdkafka: see there for usage and lines."""
import select
import sys
import time

from confluent_kafka import Producer

bootstrap, topic, partitions, per_second = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
                     "reconnect.backoff.max.ms": 200, "message.timeout.ms": 120000, "error_cb": lambda e: print(e, file=sys.stderr)})


def done(line):
    def say(err, msg):
        offset = msg.offset()  # None when a later record's acknowledgement was this one's, too
        print("fail %s %s" % (line, err) if err else "ack %s %d" % (line, -1 if offset is None else offset), flush=True)
    return say


began, n = time.monotonic(), 0
while not select.select([sys.stdin], [], [], 0)[0]:  # a line ends the load
    wait = began + n / per_second - time.monotonic()
    producer.poll(max(0, wait))
    if wait > 0:
        continue
    partition, number = n % partitions, n // partitions
    producer.produce(topic, "%s/%d/%d" % (topic, partition, number), partition=partition,
                     on_delivery=done("%d %d" % (partition, number)))
    n += 1
while producer.flush(10) > 0:
    pass
