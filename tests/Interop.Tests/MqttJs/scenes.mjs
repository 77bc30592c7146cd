// Scenes of MQTT.js against a broker: node scenes.mjs SCENE URL. Exits with 0 when the scene went as it should.
import assert from 'node:assert/strict'
import mqtt from 'mqtt'

const [, , scene, url] = process.argv
const open = []

async function connect(options = {}) {
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, connectTimeout: 30_000, ...options })
  client.seen = []
  client.on('message', (topic, payload, packet) => client.seen.push({ topic, text: payload.toString(), packet }))
  open.push(client)
  return client
}

async function until(holds) {
  for (let left = 3000; !holds(); left--) {
    assert.ok(left > 0, 'it did not come true in time')
    await sleep(10)
  }
}

// MQTT.js does not look at the Receive Maximum of the server, which is 100.
async function publish(client, count, message) {
  for (let from = 0; from < count; from += 50) {
    await Promise.all(numbers(count).slice(from, from + 50).map((text) => client.publishAsync(...message(text))))
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const numbers = (count) => Array.from({ length: count }, (_, index) => `${index}`)
const texts = (client) => client.seen.map((message) => message.text)

const scenes = {
  async connect() {
    const connacks = []
    const options = { protocolVersion: 5, reconnectPeriod: 0, clientId: '', clean: true, keepalive: 1 }
    let client = mqtt.connect(url, options)
    open.push(client)
    client.on('connect', (packet) => connacks.push(packet))
    await until(() => connacks.length === 1)
    assert.equal(connacks[0].reasonCode, 0)
    assert.ok(connacks[0].properties.assignedClientIdentifier)
    assert.ok(connacks[0].properties.receiveMaximum > 0)
    await sleep(3_000)
    // A machine that stalls may keep a PINGREQ back for too long, but not each time.
    for (let left = 4; left > 0 && !client.connected; left--) {
      client = mqtt.connect(url, options)
      open.push(client)
      await until(() => client.connected)
      await sleep(3_000)
    }
    assert.ok(client.connected, 'kept alive by PINGREQ')
  },

  async qos() {
    const client = await connect()
    await client.subscribeAsync('a/+', { qos: 2 })
    for (const qos of [0, 1, 2]) {
      client.seen = []
      await publish(client, 200, (text) => [`a/${qos}`, text, { qos }])
      await until(() => client.seen.length >= 200)
      assert.deepEqual(texts(client), numbers(200))
      assert.ok(client.seen.every((message) => message.packet.qos === qos))
    }
  },

  async properties() {
    const client = await connect()
    await client.subscribeAsync('p', { qos: 1, properties: { subscriptionIdentifier: 7 } })
    await client.publishAsync('p', 'x', {
      qos: 1,
      properties: {
        payloadFormatIndicator: true,
        contentType: 't',
        responseTopic: 'r',
        correlationData: Buffer.from([0, 255]),
        userProperties: { k: ['1', '2'], l: '3' }
      }
    })
    await until(() => client.seen.length === 1)
    const { properties } = client.seen[0].packet
    assert.equal(properties.contentType, 't')
    assert.equal(properties.responseTopic, 'r')
    assert.equal(properties.subscriptionIdentifier, 7)
    assert.deepEqual([...properties.correlationData], [0, 255])
    assert.deepEqual({ ...properties.userProperties }, { k: ['1', '2'], l: '3' })
  },

  async retained() {
    const client = await connect()
    await client.publishAsync('kept', 'x', { qos: 1, retain: true })
    const other = await connect()
    await other.subscribeAsync('kept', { qos: 1 })
    await until(() => other.seen.length === 1)
    assert.equal(other.seen[0].packet.retain, true)
    const never = await connect()
    await never.subscribeAsync('kept', { qos: 1, rh: 2 })
    await client.publishAsync('kept', '', { qos: 1, retain: true })
    await until(() => other.seen.length === 2)
    const late = await connect()
    await late.subscribeAsync(['kept', 'mark'])
    await client.publishAsync('mark', 'mark', { qos: 1 })
    await until(() => late.seen.length === 1)
    assert.deepEqual(texts(late), ['mark'])
    assert.deepEqual(texts(never), [''])
  },

  async will() {
    const watcher = await connect()
    await watcher.subscribeAsync('will', { qos: 1 })
    const client = await connect({
      properties: { sessionExpiryInterval: 60 },
      will: { topic: 'will', payload: Buffer.from('gone'), qos: 1, retain: false, properties: { willDelayInterval: 1 } }
    })
    client.stream.destroy()
    const since = Date.now()
    await until(() => watcher.seen.length === 1)
    assert.equal(watcher.seen[0].text, 'gone')
    assert.ok(Date.now() - since > 500, 'after its delay')
    const polite = await connect({ will: { topic: 'will', payload: Buffer.from('polite'), qos: 1, retain: false } })
    await polite.endAsync()
    await watcher.publishAsync('will', 'mark', { qos: 1 })
    await until(() => watcher.seen.length === 2)
    assert.deepEqual(texts(watcher), ['gone', 'mark'])
  },

  async shared() {
    const members = [await connect(), await connect()]
    for (const member of members) await member.subscribeAsync('$share/g/s/#', { qos: 1 })
    const publisher = await connect()
    for (const text of numbers(200)) await publisher.publishAsync('s/t', text, { qos: 1 })
    await until(() => members[0].seen.length + members[1].seen.length >= 200)
    const all = [...texts(members[0]), ...texts(members[1])].map(Number).sort((a, b) => a - b)
    assert.deepEqual(all.map(String), numbers(200))
    assert.ok(members.every((member) => member.seen.length > 0), 'both take part')
  },

  async aliases() {
    const taker = await connect({ properties: { topicAliasMaximum: 5 } })
    const raw = []
    taker.on('packetreceive', (packet) => packet.cmd === 'publish' && raw.push(packet.properties?.topicAlias ?? 0))
    await taker.subscribeAsync('t/#', { qos: 1 })
    const giver = await connect({ autoUseTopicAlias: true, autoAssignTopicAlias: true })
    for (const text of numbers(100)) await giver.publishAsync(`t/${text % 7}`, text, { qos: text % 2 })
    await until(() => taker.seen.length === 100)
    assert.deepEqual(taker.seen.map((one) => `${one.topic} ${one.text}`), numbers(100).map((text) => `t/${text % 7} ${text}`))
    assert.ok(raw.some((alias) => alias > 0), 'the broker uses aliases')
    assert.ok(raw.every((alias) => alias <= 5), 'and not more than it may')
  },

  async flow() {
    const slow = await connect({ properties: { receiveMaximum: 2 } })
    await slow.subscribeAsync('f', { qos: 2 })
    const publisher = await connect()
    await publish(publisher, 300, (text) => ['f', text, { qos: 1 + (text % 2) }])
    await until(() => slow.seen.length >= 300)
    assert.equal(new Set(texts(slow)).size, 300)
    for (const qos of [1, 2]) {
      const some = slow.seen.filter((one) => one.packet.qos === qos).map((one) => Number(one.text))
      assert.deepEqual(some, [...some].sort((a, b) => a - b), 'in order')
    }
  },

  async expiry() {
    const options = { clientId: 'mqttjs-expiry', clean: false, properties: { sessionExpiryInterval: 60 } }
    const client = await connect(options)
    await client.subscribeAsync('e', { qos: 1 })
    await client.endAsync()
    const publisher = await connect()
    await publisher.publishAsync('e', 'short', { qos: 1, properties: { messageExpiryInterval: 1 } })
    await publisher.publishAsync('e', 'long', { qos: 1, properties: { messageExpiryInterval: 100 } })
    await sleep(2_500)
    const again = mqtt.connect(url, { protocolVersion: 5, reconnectPeriod: 0, ...options })
    open.push(again)
    const seen = []
    let present
    again.on('connect', (packet) => { present = packet.sessionPresent })
    again.on('message', (topic, payload, packet) => seen.push([payload.toString(), packet.properties.messageExpiryInterval]))
    await until(() => seen.length === 1)
    assert.equal(present, true)
    assert.equal(seen[0][0], 'long')
    assert.ok(seen[0][1] <= 98 && seen[0][1] >= 90, `${seen[0][1]} seconds are left`)
  }
}

try {
  await scenes[scene]()
  await Promise.all(open.map((client) => client.endAsync(true)))
  process.exit(0)
} catch (failure) {
  console.error(failure)
  process.exit(1)
}
