"""A first confluent-kafka producer, with a delivery callback. Usage: confluent.py BOOTSTRAP TOPIC COUNT"""
import sys

from confluent_kafka import Producer

failures = []


def delivery_report(err, msg):
    if err is not None:
        failures.append(err)
    else:
        print(msg.partition(), msg.offset(), msg.key().decode(), msg.value().decode(), sep="\t")


producer = Producer({"bootstrap.servers": sys.argv[1]})
for i in range(int(sys.argv[3])):
    producer.poll(0)
    producer.produce(sys.argv[2], key="key-%d" % (i % 10), value=("message %d" % i).encode("utf-8"), callback=delivery_report)
producer.flush()
sys.exit(str(failures[0]) if failures else 0)
