// A first producer: one record after the other, each waited for. Usage: SyncProducer BOOTSTRAP TOPIC COUNT
import java.util.Properties;
import org.apache.kafka.clients.producer.*;

public class SyncProducer {
    public static void main(String[] args) throws Exception {
        Properties props = new Properties();
        props.put("bootstrap.servers", args[0]);
        props.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        props.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        try (Producer<String, String> producer = new KafkaProducer<>(props)) {
            for (int i = 0; i < Integer.parseInt(args[2]); i++) {
                ProducerRecord<String, String> record = new ProducerRecord<>(args[1], "key-" + i % 10, "message " + i);
                RecordMetadata metadata = producer.send(record).get();
                System.out.println(metadata.partition() + "\t" + metadata.offset() + "\t" + record.key() + "\t" + record.value());
            }
        }
    }
}
