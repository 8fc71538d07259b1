// A first KafkaJS producer. Usage: kafkajs.js BOOTSTRAP TOPIC COUNT
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic, count] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'my-app', brokers: [bootstrap], logLevel: logLevel.ERROR })
const producer = kafka.producer()

const run = async () => {
  await producer.connect()
  for (let i = 0; i < Number(count); i++) {
    const message = { key: `key-${i % 10}`, value: `message ${i}` }
    const [sent] = await producer.send({ topic, messages: [message] })
    console.log([sent.partition, sent.baseOffset, message.key, message.value].join('\t'))
  }
  await producer.disconnect()
}

run().catch(e => {
  console.error(e)
  process.exit(1)
})
