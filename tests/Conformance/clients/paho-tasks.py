"""Paho for Python as a program that does the tasks of mqtt5 verify-client: paho-tasks.py ROLE. The values of a task are in the
environment. What Paho leaves to its options is left at its defaults, unless the task asks for it."""

import os
import sys

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


def value(name):
    return os.environ["MQTT5_" + name.upper()]


ROLE = sys.argv[1]
TOPIC, MESSAGE, QOS = value("topic"), value("message"), int(value("qos"))
IS_V5 = value("version") == "5"
IN_SESSION = ROLE in ("publish-session", "subscribe-session", "alias", "expiring")


def properties(packet_type, **fields):
    """Properties of MQTT 5, by their names without blanks; before it there are none."""
    if not IS_V5:
        return None
    those = Properties(packet_type)
    for name, field in fields.items():
        setattr(those, name, field)
    return those


def new_client():
    # Later versions ask which form of callbacks is meant.
    versions = getattr(paho, "CallbackAPIVersion", None)
    arguments = [versions.VERSION1] if versions else []
    options = {"client_id": value("id")} if IN_SESSION else {}
    if IS_V5:
        options["protocol"] = paho.MQTTv5
    elif IN_SESSION:
        options["clean_session"] = False
    if ROLE == "websocket":
        options["transport"] = "websockets"
    return paho.Client(*arguments, **options)


def connect(client):
    if ROLE == "websocket":
        client.ws_set_options(path="/mqtt")
    if ROLE == "will":
        client.will_set(TOPIC, MESSAGE, QOS)
    if ROLE == "login":
        client.username_pw_set(value("user"), value("password"))
    options = {}
    if IS_V5 and IN_SESSION:
        options = {"clean_start": False, "properties": properties(PacketTypes.CONNECT, SessionExpiryInterval=1000)}
        if ROLE == "subscribe-session":
            options["properties"].TopicAliasMaximum = 10
    elif IS_V5 and ROLE == "subscribe":
        options = {"properties": properties(PacketTypes.CONNECT, TopicAliasMaximum=10)}
    client.connect(value("host"), int(value("port")), int(value("keepalive")), **options)


def fields_of_publish():
    if not IS_V5:
        return {}
    return {
        "alias": lambda: {"TopicAlias": int(value("alias"))},
        "expiring": lambda: {"MessageExpiryInterval": int(value("expiry"))},
        "request": lambda: {"ResponseTopic": value("response")},
    }.get(ROLE, dict)()


def publish(client):
    connect(client)
    client.loop_start()
    # All at once: what may be under way at the same time is for Paho to know.
    messages = [
        client.publish(TOPIC, MESSAGE, QOS, ROLE == "retain", properties(PacketTypes.PUBLISH, **fields_of_publish()))
        for _ in range(int(value("count")))
    ]
    for message in messages:
        message.wait_for_publish()
    client.disconnect()
    client.loop_stop()


def subscribe(client):
    client.on_connect = lambda *_: client.subscribe(TOPIC, QOS)
    client.on_message = lambda _client, _data, message: print(message.payload.decode(), flush=True)
    connect(client)
    client.loop_forever()


def unsubscribe(client):
    client.on_connect = lambda *_: client.subscribe(TOPIC, QOS)
    client.on_subscribe = lambda *_: client.unsubscribe(TOPIC)
    client.on_unsubscribe = lambda *_: client.disconnect()
    connect(client)
    client.loop_forever()


def stay(client):
    connect(client)
    client.loop_forever()


if ROLE in ("subscribe", "subscribe-session", "websocket"):
    subscribe(new_client())
elif ROLE == "unsubscribe":
    unsubscribe(new_client())
elif ROLE == "will":
    stay(new_client())
else:
    publish(new_client())
