"""Scenes of Paho for Python against a broker: scenes.py SCENE PORT. Exits with 0 when the scene went as it should."""

import sys
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

SCENE, PORT = sys.argv[1], int(sys.argv[2])
PATIENCE = 30


def until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def properties(packet, **values):
    result = Properties(packet)
    for name, value in values.items():
        if isinstance(value, list):
            for one in value:
                setattr(result, name, one)
        else:
            setattr(result, name, value)
    return result


class Peer:
    """A client that remembers what it is sent."""

    def __init__(self, client_id="", clean=True, keepalive=60, will=None, **connect):
        self.seen = []
        self.connack = None
        self.subscribed = {}
        # Later versions ask which form of callbacks is meant.
        versions = getattr(paho, "CallbackAPIVersion", None)
        arguments = [versions.VERSION1] if versions else []
        self.client = paho.Client(*arguments, client_id=client_id, protocol=paho.MQTTv5)
        self.client.on_connect = self.connected
        self.client.on_message = lambda client, data, message: self.seen.append(message)
        self.client.on_subscribe = lambda client, data, mid, codes, properties=None: self.subscribed.update({mid: codes})
        self.client.max_inflight_messages_set(50)
        if will:
            self.client.will_set(**will)
        self.client.connect(
            "127.0.0.1", PORT, keepalive, clean_start=clean, properties=properties(PacketTypes.CONNECT, **connect))
        self.client.loop_start()
        until(lambda: self.connack)
        assert self.connack[1] == 0, self.connack

    def connected(self, client, data, flags, reason, properties):
        self.connack = (flags, reason, properties)

    def subscribe(self, topic, qos=2, **options):
        _, mid = self.client.subscribe(topic, options=SubscribeOptions(qos=qos, **options))
        until(lambda: mid in self.subscribed)

    def publish(self, topic, text, qos=0, retain=False, **values):
        given = properties(PacketTypes.PUBLISH, **values)
        return self.client.publish(topic, text, qos, retain, given)

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


def published(infos):
    for info in infos:
        info.wait_for_publish(PATIENCE)
        assert info.is_published()


def connect():
    peer = Peer()
    assert peer.connack[2].AssignedClientIdentifier
    assert peer.connack[2].ReceiveMaximum > 0
    peer.close()
    # A machine that stalls may keep a PINGREQ back for too long, but not each time.
    assert any(stays() for _ in range(5))


def stays():
    peer = Peer(keepalive=1)
    time.sleep(3)
    stayed = peer.client.is_connected()
    peer.close()
    return stayed


def qos():
    peer = Peer()
    peer.subscribe("a/+")
    for level in (0, 1, 2):
        peer.seen.clear()
        published([peer.publish(f"a/{level}", text, level) for text in numbers(200)])
        until(lambda: len(peer.seen) >= 200)
        assert peer.texts() == numbers(200)
        assert all(message.qos == level for message in peer.seen)
    peer.close()


def all_properties():
    peer = Peer()
    peer.client.subscribe("p", options=SubscribeOptions(qos=1), properties=properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=7))
    until(lambda: peer.subscribed)
    peer.publish(
        "p", "x", 1, PayloadFormatIndicator=1, ContentType="t", ResponseTopic="r", CorrelationData=b"\x00\xff",
        UserProperty=[("k", "1"), ("k", "2"), ("a", "3")])
    until(lambda: peer.seen)
    seen = peer.seen[0].properties
    assert (seen.ContentType, seen.ResponseTopic, seen.CorrelationData) == ("t", "r", b"\x00\xff")
    assert seen.UserProperty == [("k", "1"), ("k", "2"), ("a", "3")]
    assert seen.SubscriptionIdentifier == [7]
    peer.close()


def retained():
    peer = Peer()
    published([peer.publish("kept", "x", 1, True)])
    other = Peer()
    other.subscribe("kept")
    until(lambda: other.seen)
    assert other.seen[0].retain
    published([peer.publish("kept", "", 1, True)])
    until(lambda: len(other.seen) == 2)
    late = Peer()
    late.subscribe("kept")
    late.subscribe("mark")
    published([peer.publish("mark", "mark", 1)])
    until(lambda: late.seen)
    assert late.texts() == ["mark"]
    for one in (peer, other, late):
        one.close()


def will():
    watcher = Peer()
    watcher.subscribe("will")
    delay = properties(PacketTypes.WILLMESSAGE, WillDelayInterval=1)
    Peer(will={"topic": "will", "payload": "gone", "qos": 1, "properties": delay}, SessionExpiryInterval=60).cut()
    since = time.monotonic()
    until(lambda: watcher.seen)
    assert watcher.texts() == ["gone"]
    assert time.monotonic() - since > 0.5
    Peer(will={"topic": "will", "payload": "polite", "qos": 1}).close()
    published([watcher.publish("will", "mark", 1)])
    until(lambda: len(watcher.seen) == 2)
    assert watcher.texts() == ["gone", "mark"]
    watcher.close()


def shared():
    members = [Peer(), Peer()]
    for member in members:
        member.subscribe("$share/g/s/#", 1)
    publisher = Peer()
    published([publisher.publish("s/t", text, 1) for text in numbers(200)])
    until(lambda: sum(len(member.seen) for member in members) >= 200)
    assert sorted(members[0].texts() + members[1].texts(), key=int) == numbers(200)
    assert all(member.seen for member in members)
    for one in (*members, publisher):
        one.close()


def aliases():
    peer = Peer()
    assert peer.connack[2].TopicAliasMaximum > 0
    peer.subscribe("t/#")
    for text in numbers(100):
        alias = int(text) % 7 + 1
        topic = f"t/{alias}" if int(text) < 7 else ""
        published([peer.publish(topic, text, int(text) % 3, TopicAlias=alias)])
    until(lambda: len(peer.seen) == 100)
    assert [(message.topic, message.payload.decode()) for message in peer.seen] == [
        (f"t/{int(text) % 7 + 1}", text) for text in numbers(100)]
    peer.close()


def flow():
    slow = Peer(ReceiveMaximum=2)
    slow.subscribe("f")
    publisher = Peer()
    published([publisher.publish("f", text, 1 + int(text) % 2) for text in numbers(300)])
    until(lambda: len(slow.seen) >= 300)
    assert sorted(slow.texts(), key=int) == numbers(300)
    for level in (1, 2):
        some = [int(message.payload) for message in slow.seen if message.qos == level]
        assert some == sorted(some)
    for one in (slow, publisher):
        one.close()


def expiry():
    peer = Peer("paho-expiry", clean=False, SessionExpiryInterval=60)
    peer.subscribe("e", 1)
    peer.close()
    # The broker learns a moment later that it is away.
    time.sleep(0.5)
    publisher = Peer()
    published([publisher.publish("e", "short", 1, MessageExpiryInterval=1)])
    published([publisher.publish("e", "long", 1, MessageExpiryInterval=100)])
    time.sleep(2.5)
    again = Peer("paho-expiry", clean=False, SessionExpiryInterval=60)
    until(lambda: again.seen)
    assert again.connack[0]["session present"] == 1
    assert again.texts() == ["long"]
    assert 90 <= again.seen[0].properties.MessageExpiryInterval <= 98
    for one in (again, publisher):
        one.close()


SCENES = {
    "connect": connect, "qos": qos, "properties": all_properties, "retained": retained, "will": will, "shared": shared,
    "aliases": aliases, "flow": flow, "expiry": expiry,
}

SCENES[SCENE]()
