// Writes transactions of one record to each partition of a topic, each third of them aborted, until a line comes on standard
// input. Usage: Transactions BOOTSTRAP TOPIC PARTITIONS. A line out for each record of a transaction that has ended: commit or
// abort, partition, value.
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.StringSerializer;

public class Transactions {
    public static void main(String[] args) throws Exception {
        int partitions = Integer.parseInt(args[2]);
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("transactional.id", "interop");
        p.put("transaction.timeout.ms", "60000");
        p.put("request.timeout.ms", "5000");
        p.put("max.block.ms", "60000");
        try (Producer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            for (int n = 0; System.in.available() == 0; n++) {
                producer.beginTransaction();
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (int i = 0; i < partitions; i++)
                    sent.add(producer.send(new ProducerRecord<>(args[1], i, null, i + "/" + n)));
                boolean commit = n % 3 < 2;
                try {
                    for (Future<RecordMetadata> f : sent) f.get();
                } catch (ExecutionException e) {
                    System.err.println("transaction " + n + ": " + e);
                    commit = false;
                }
                if (commit) producer.commitTransaction(); else producer.abortTransaction();
                StringBuilder out = new StringBuilder();
                for (int i = 0; i < partitions; i++)
                    out.append(commit ? "commit " : "abort ").append(i).append(' ').append(i).append('/').append(n).append('\n');
                System.out.print(out);
                System.out.flush();
            }
        }
    }
}
