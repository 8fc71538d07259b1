// The producer of the Javadoc: settings spelled out, answers by callback. Usage: CallbackProducer BOOTSTRAP TOPIC COUNT
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.producer.*;

public class CallbackProducer {
    public static void main(String[] args) throws Exception {
        Properties props = new Properties();
        props.put("bootstrap.servers", args[0]);
        props.put("acks", "all");
        props.put("linger.ms", 1);
        props.put("batch.size", 16384);
        props.put("buffer.memory", 33554432);
        props.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        props.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        AtomicReference<Exception> failure = new AtomicReference<>();
        Producer<String, String> producer = new KafkaProducer<>(props);
        for (int i = 0; i < Integer.parseInt(args[2]); i++) {
            ProducerRecord<String, String> record = new ProducerRecord<>(args[1], Integer.toString(i), "message " + i);
            producer.send(record, (metadata, exception) -> {
                if (exception != null) failure.set(exception);
                else System.out.println(metadata.partition() + "\t" + metadata.offset() + "\t" + record.key() + "\t" + record.value());
            });
        }
        producer.close();
        if (failure.get() != null) throw failure.get();
    }
}
