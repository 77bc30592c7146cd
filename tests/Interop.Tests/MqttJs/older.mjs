// MQTT.js in MQTT 3.1.1 or 3.1 against a broker: node older.mjs 4|3 URL. Exits with 0 when all went as it should.
import assert from 'node:assert/strict'
import mqtt from 'mqtt'

const [, , version, url] = process.argv
const protocol = version === '3' ? { protocolId: 'MQIsdp', protocolVersion: 3 } : { protocolVersion: 4 }
const open = []

async function connect(options = {}) {
  const client = mqtt.connect(url, { ...protocol, reconnectPeriod: 0, connectTimeout: 30_000, ...options })
  client.seen = []
  client.on('message', (topic, payload, packet) => client.seen.push({ topic, text: payload.toString(), packet }))
  client.on('connect', (packet) => { client.connack = packet })
  open.push(client)
  await until(() => client.connack)
  return client
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const numbers = (count) => Array.from({ length: count }, (_, index) => `${index}`)
const texts = (client) => client.seen.map((message) => message.text)

async function until(holds) {
  for (let left = 3000; !holds(); left--) {
    assert.ok(left > 0, 'it did not come true in time')
    await sleep(10)
  }
}

const one = await connect({ clientId: 'one' })
await one.subscribeAsync('a/+', { qos: 2 })

for (const qos of [0, 1, 2]) {
  one.seen = []
  await Promise.all(numbers(50).map((text) => one.publishAsync(`a/${qos}`, text, { qos })))
  await until(() => one.seen.length >= 50)
  assert.deepEqual(texts(one), numbers(50))
  assert.ok(one.seen.every((message) => message.packet.qos === qos))
}

await one.publishAsync('kept', 'x', { qos: 1, retain: true })
let two = await connect({ clientId: 'two', clean: false })
await two.subscribeAsync('kept', { qos: 1 })
await until(() => two.seen.length === 1)
assert.ok(two.seen[0].packet.retain)
await two.subscribeAsync('later', { qos: 1 })
await two.endAsync()
await one.publishAsync('later', 'waits', { qos: 1 })
two = await connect({ clientId: 'two', clean: false })
await until(() => two.seen.length === 1)
assert.equal(texts(two)[0], 'waits')
await one.unsubscribeAsync('a/+')
await one.subscribeAsync('will', { qos: 1 })
one.seen = []
const dying = await connect({ clientId: 'dying', will: { topic: 'will', payload: 'gone', qos: 1 } })
dying.stream.destroy()
await until(() => one.seen.length === 1)
assert.equal(texts(one)[0], 'gone')
// A client of MQTT 5 has published it, with a property.
one.seen = []
await one.subscribeAsync('five', { qos: 1 })
await until(() => one.seen.length === 1)
assert.equal(texts(one)[0], 'of five')
await Promise.all(open.map((client) => client.endAsync(true)))
process.exit(0)
