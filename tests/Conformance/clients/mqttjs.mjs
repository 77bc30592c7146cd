// MQTT.js as a program that does the tasks of mqtt5 verify-client: node mqttjs.mjs ROLE. The values of a task are in the
// environment. What MQTT.js leaves to its options is left at its defaults, unless the task asks for it.
import { createRequire } from 'node:module'

// The version that the tests of interoperability are pinned to; npm ci in that folder installs it.
const mqtt = createRequire(new URL('../../Interop.Tests/MqttJs/package.json', import.meta.url))('mqtt')

const [, , role] = process.argv
const { MQTT5_URL: url, MQTT5_TOPIC: topic, MQTT5_MESSAGE: message } = process.env
const qos = Number(process.env.MQTT5_QOS)
const isV5 = process.env.MQTT5_VERSION === '5'
const ofV5 = (properties) => (isV5 ? { properties } : {})
const session = { clean: false, clientId: process.env.MQTT5_ID, ...ofV5({ sessionExpiryInterval: 1000 }) }

function connect(options = {}) {
  const client = mqtt.connect(url, { protocolVersion: isV5 ? 5 : 4, keepalive: Number(process.env.MQTT5_KEEPALIVE), ...options })
  client.on('error', (error) => {
    console.error(error.message)

    // As the programs of MQTT.js do. After an error of the network it connects again by itself.
    if (!error.syscall) client.end()
  })
  return client
}

const once = (client, event) => new Promise((resolve) => client.once(event, resolve))

// All at once: what may be under way at the same time is for MQTT.js to know.
async function publish(client, options = {}) {
  await once(client, 'connect')
  const messages = Array.from({ length: Number(process.env.MQTT5_COUNT) }, () => client.publishAsync(topic, message, { qos, ...options }))

  for (const { reason } of await Promise.allSettled(messages)) {
    if (reason) console.error(reason.message)
  }

  await client.endAsync()
}

async function subscribe(client) {
  client.on('message', (name, payload) => {
    if (name === topic) console.log(payload.toString())
  })
  await once(client, 'connect')
  await client.subscribeAsync(topic, { qos })
}

const aliases = { topicAliasMaximum: 10 }

const roles = {
  publish: () => publish(connect()),
  'publish-session': () => publish(connect(session)),
  retain: () => publish(connect(), { retain: true }),
  alias: () => publish(connect(session), { properties: { topicAlias: Number(process.env.MQTT5_ALIAS) } }),
  expiring: () => publish(connect(session), { properties: { messageExpiryInterval: Number(process.env.MQTT5_EXPIRY) } }),
  request: () => publish(connect(), { properties: { responseTopic: process.env.MQTT5_RESPONSE } }),
  subscribe: () => subscribe(connect(ofV5(aliases))),
  'subscribe-session': () => subscribe(connect({ ...session, ...ofV5({ sessionExpiryInterval: 1000, ...aliases }) })),
  websocket: () => subscribe(connect()),

  async unsubscribe() {
    const client = connect()
    await once(client, 'connect')
    await client.subscribeAsync(topic, { qos })
    await client.unsubscribeAsync(topic)
    await client.endAsync()
  },

  will: () => connect({ will: { topic, payload: Buffer.from(message), qos, retain: false } }),
  login: () => publish(connect({ username: process.env.MQTT5_USER, password: process.env.MQTT5_PASSWORD })),

  authenticate() {
    const properties = { authenticationMethod: process.env.MQTT5_METHOD, authenticationData: Buffer.from(message) }
    const client = connect({ properties })
    client.handleAuth = (packet, answer) => answer(null, { cmd: 'auth', reasonCode: 0x18, properties })
    return publish(client)
  }
}

await roles[role]()
