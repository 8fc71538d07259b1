// Client.java's twin for KafkaJS, which produces here and reads only in groups: see there for lines and usage.
const fs = require('fs')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const lz4 = require('lz4js')
const xxh = require('lz4js/xxh32.js')
const { ZstdCodec } = require('zstd-codec')

const [bootstrap, topic, codec] = process.argv.slice(2)
const decode = s => (s === '-' ? null : Buffer.from(s, 'base64'))

// lz4js marks its only block as dependent on others, which Kafka refuses: say what is true and sign it.
const independent = frame => {
  frame[4] |= 0x20
  frame[6] = (xxh.hash(0, frame, 4, 2) >> 8) & 0xff
  return frame
}

ZstdCodec.run(async zstd => {
  const simple = new zstd.Simple()
  CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async e => Buffer.from(independent(lz4.compress(e.buffer))),
    decompress: async b => Buffer.from(lz4.decompress(b)),
  })
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async e => Buffer.from(simple.compress(e.buffer)),
    decompress: async b => Buffer.from(simple.decompress(b)),
  })
  const kinds = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }
  const messages = fs.readFileSync(0, 'utf8').split('\n').filter(l => l).map(l => {
    const [key, value, timestamp, headers] = l.split('\t')
    const pairs = headers ? headers.split(',').map(h => [h.slice(0, h.indexOf('=')), decode(h.slice(h.indexOf('=') + 1))]) : []
    return { partition: 0, key: decode(key), value: decode(value), timestamp, headers: Object.fromEntries(pairs) }
  })
  const producer = new Kafka({ clientId: 'interop', brokers: [bootstrap], logLevel: logLevel.ERROR }).producer()
  await producer.connect()
  const [sent] = await producer.send({ topic, acks: -1, compression: CompressionTypes[kinds[codec]], messages })
  messages.forEach((_, i) => console.log(Number(sent.baseOffset) + i))
  await producer.disconnect()
})
