// Produces or reads lines of TAB-separated base64, so that any client's view of a record can be compared with any other's.
// Usage: Client produce BOOTSTRAP TOPIC CODEC [property=value ...] | Client consume BOOTSTRAP TOPIC COUNT
// A line in is key, value, timestamp, headers; a line out has the offset in front. "-" is null; headers are name=value,...
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

public class Client {
    public static void main(String[] args) throws Exception {
        if (args[0].equals("produce")) produce(args); else consume(args);
    }

    static void produce(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[1]);
        p.put("compression.type", args[3]);
        for (int i = 4; i < args.length; i++) p.put(args[i].split("=", 2)[0], args[i].split("=", 2)[1]);
        try (Producer<byte[], byte[]> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line; (line = in.readLine()) != null; ) {
                String[] f = line.split("\t", -1);
                List<Header> headers = new ArrayList<>();
                if (!f[3].isEmpty()) for (String h : f[3].split(",")) {
                    int at = h.indexOf('=');
                    headers.add(new RecordHeader(h.substring(0, at), decode(h.substring(at + 1))));
                }
                sent.add(producer.send(new ProducerRecord<>(args[2], 0, Long.parseLong(f[2]), decode(f[0]), decode(f[1]), headers)));
            }
            producer.flush();
            for (Future<RecordMetadata> f : sent) System.out.println(f.get().offset());
        }
    }

    static void consume(String[] args) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[1]);
        TopicPartition tp = new TopicPartition(args[2], 0);
        int left = Integer.parseInt(args[3]);
        StringBuilder out = new StringBuilder();
        try (Consumer<byte[], byte[]> consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(Collections.singletonList(tp));
            consumer.seekToBeginning(Collections.singletonList(tp));
            long deadline = System.nanoTime() + 30_000_000_000L;
            while (left > 0 && System.nanoTime() < deadline) {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                    StringJoiner headers = new StringJoiner(",");
                    for (Header h : r.headers()) headers.add(h.key() + "=" + encode(h.value()));
                    out.append(r.offset()).append('\t').append(encode(r.key())).append('\t').append(encode(r.value())).append('\t')
                       .append(r.timestamp()).append('\t').append(headers).append('\n');
                    left--;
                }
            }
        }
        System.out.print(out);
        if (left > 0) { System.err.println(left + " records did not come"); System.exit(1); }
    }

    static byte[] decode(String s) { return s.equals("-") ? null : Base64.getDecoder().decode(s); }
    static String encode(byte[] b) { return b == null ? "-" : Base64.getEncoder().encodeToString(b); }
}
