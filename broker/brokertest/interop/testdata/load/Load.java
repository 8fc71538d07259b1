// Writes numbered records, idempotent and with acks=all, until its standard input ends, and says what became of each.
// Usage: Load BOOTSTRAP TOPIC PARTITIONS PER_SECOND [property=value ...]
// Record n of partition p has the value "TOPIC/p/n". Lines out: "ack p n offset", "fail p n reason", in any order.
import java.util.Properties;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.StringSerializer;

public class Load {
    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("acks", "all");
        p.put("enable.idempotence", "true");
        p.put("reconnect.backoff.max.ms", "200");
        for (int i = 4; i < args.length; i++) p.put(args[i].split("=", 2)[0], args[i].split("=", 2)[1]);
        String topic = args[1];
        int partitions = Integer.parseInt(args[2]);
        long pause = 1_000_000_000L / Integer.parseInt(args[3]);
        try (Producer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            long began = System.nanoTime();
            for (long n = 0; System.in.available() == 0; n++) { // a line ends the load
                long wait = began + n * pause - System.nanoTime();
                if (wait > 0) Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
                int partition = (int) (n % partitions);
                long number = n / partitions;
                producer.send(new ProducerRecord<>(topic, partition, null, topic + "/" + partition + "/" + number), (told, failed) -> {
                    String line = partition + " " + number + " ";
                    synchronized (System.out) {
                        if (failed == null) System.out.println("ack " + line + told.offset());
                        else System.out.println("fail " + line + failed.toString().replace('\n', ' '));
                    }
                });
            }
        }
        System.out.flush();
    }
}
