// Writes transactions of one record a partition, every third of which it aborts; or reads what was committed.
// Usage: Transact write BOOTSTRAP TOPIC PARTITIONS TRANSACTIONS | Transact read BOOTSTRAP TOPIC PARTITIONS
// Lines out: "commit n" or "abort n" when it is done, in order; "partition n" for a record of transaction n.
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

public class Transact {
    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[1]);
        if (args[0].equals("write")) write(p, args[2], Integer.parseInt(args[3]), Integer.parseInt(args[4]));
        else read(p, args[2], Integer.parseInt(args[3]));
    }

    static void write(Properties p, String topic, int partitions, int transactions) {
        p.put("transactional.id", topic);
        p.put("reconnect.backoff.max.ms", "200");
        try (Producer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            for (int n = 0; n < transactions; n++) {
                producer.beginTransaction();
                for (int partition = 0; partition < partitions; partition++)
                    producer.send(new ProducerRecord<>(topic, partition, null, Integer.toString(n)));
                producer.flush();
                if (n % 3 == 2) { producer.abortTransaction(); System.out.println("abort " + n); }
                else { producer.commitTransaction(); System.out.println("commit " + n); }
            }
        }
    }

    static void read(Properties p, String topic, int partitions) {
        p.put("isolation.level", "read_committed");
        try (Consumer<String, String> consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            for (int partition = 0; partition < partitions; partition++) all.add(new TopicPartition(topic, partition));
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all); // the last stable offsets
            long deadline = System.nanoTime() + 60_000_000_000L;
            while (ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(200))) System.out.println(r.partition() + " " + r.value());
                if (System.nanoTime() > deadline) { System.err.println("the end did not come: " + ends); System.exit(1); }
            }
        }
    }
}
