"""Paho for Python in MQTT 3.1.1, as it is by default, or 3.1: older.py VERSION PORT. Exits with 0 when all went as it should."""

import sys
import time

import paho.mqtt.client as paho

VERSION, PORT = sys.argv[1], int(sys.argv[2])
PATIENCE = 30


def until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


class Peer:
    """A client that remembers what it is sent."""

    def __init__(self, client_id="", clean=None, will=None):
        self.seen = []
        self.connack = None
        self.subscribed = {}
        # Later versions ask which form of callbacks is meant.
        versions = getattr(paho, "CallbackAPIVersion", None)
        arguments = [versions.VERSION1] if versions else []
        protocol = {"protocol": paho.MQTTv31} if VERSION == "31" else {}
        session = {} if clean is None else {"clean_session": clean}
        self.client = paho.Client(*arguments, client_id=client_id, **session, **protocol)
        self.client.on_connect = self.connected
        self.client.on_message = lambda client, data, message: self.seen.append(message)
        self.client.on_subscribe = lambda client, data, mid, codes: self.subscribed.update({mid: codes})
        if will:
            self.client.will_set("will", will, 1)
        self.client.connect("127.0.0.1", PORT)
        self.client.loop_start()
        until(lambda: self.connack)
        assert self.connack[1] == 0, self.connack

    def connected(self, client, data, flags, code):
        self.connack = (flags, code)

    def subscribe(self, topic, qos=2):
        _, mid = self.client.subscribe(topic, qos)
        until(lambda: mid in self.subscribed)
        assert tuple(self.subscribed[mid]) == (qos,)

    def publish(self, topic, texts, qos, retain=False):
        for info in [self.client.publish(topic, text, qos, retain) for text in texts]:
            info.wait_for_publish(PATIENCE)
            assert info.is_published()

    def texts(self):
        return [message.payload.decode() for message in self.seen]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def cut(self):
        self.client.loop_stop()
        self.client.socket().close()


def numbers(count):
    return [str(index) for index in range(count)]


one = Peer("one")
one.subscribe("a/+")
for level in (0, 1, 2):
    one.seen.clear()
    one.publish(f"a/{level}", numbers(100), level)
    until(lambda: len(one.seen) >= 100)
    assert one.texts() == numbers(100)
    assert all(message.qos == level for message in one.seen)

one.publish("kept", ["x"], 1, True)
two = Peer("two", clean=False)
two.subscribe("kept")
until(lambda: two.seen)
assert two.seen[0].retain
two.subscribe("later", 1)
two.close()
one.publish("later", ["waits"], 1)
two = Peer("two", clean=False)
# MQTT 3.1 has no such flag.
assert two.connack[0]["session present"] == (0 if VERSION == "31" else 1)
until(lambda: two.seen)
assert two.texts() == ["waits"]
one.seen.clear()
one.subscribe("will", 1)
Peer("dying", will="gone").cut()
until(lambda: one.seen)
assert one.texts() == ["gone"]
# A client of MQTT 5 has published it, with a property.
one.seen.clear()
one.subscribe("five", 1)
until(lambda: one.seen)
assert one.texts() == ["of five"]
one.close()
two.close()
