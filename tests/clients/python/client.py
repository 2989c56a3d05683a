"""A Python client of the Events protocol: websocket-client for the WebSocket, urllib for HTTP.

Usage: client.py URL API_KEY CHANNEL. Converses with the gateway and prints one JSON line for each thing that happened.
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import websocket

url, api_key, channel = sys.argv[1:]
authorization = {"host": urlsplit(url).netloc, "x-api-key": api_key}


def report(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


def credential(value):
    text = json.dumps(value).encode()
    return "header-" + base64.urlsafe_b64encode(text).decode().rstrip("=")


def connect(key_object):
    return websocket.create_connection(
        url.replace("http", "ws", 1) + "/event/realtime",
        subprotocols=["aws-appsync-event-ws", credential(key_object)],
        timeout=15,
    )


def send(connection, frame):
    connection.send(json.dumps(frame))


def receive(connection):
    return json.loads(connection.recv())


def post(body, key=api_key):
    request = urllib.request.Request(
        url + "/event",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "x-api-key": key},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


# Connect: the ack, and a keep-alive right behind it.
subscriber = connect(authorization)
report("connected", subprotocol=subscriber.getsubprotocol())
send(subscriber, {"type": "connection_init"})
report("frame", frame=receive(subscriber))
report("frame", frame=receive(subscriber))

# Subscribe to the channel itself and to everything beside it.
wildcard = channel.rsplit("/", 1)[0] + "/*"
for subscription, pattern in (("exact", channel), ("wildcard", wildcard)):
    send(subscriber, {"type": "subscribe", "id": subscription, "channel": pattern, "authorization": authorization})
    report("frame", frame=receive(subscriber))

# Publish from a second connection, which says no connection_init: that is allowed.
publisher = connect(authorization)
send(
    publisher,
    {
        "type": "publish",
        "id": "batch",
        "channel": channel,
        "events": [json.dumps({"n": n, "text": "é"}) for n in (1, 2)],
        "authorization": authorization,
    },
)
report("frame", frame=receive(publisher))
publisher.close()
report("events", frames=[receive(subscriber) for _ in range(4)])

# Publish over HTTP.
status, headers, body = post({"channel": channel, "events": ["42"]})
report("http", status=status, body=body)
report("events", frames=[receive(subscriber) for _ in range(2)])

# Refusals, over HTTP and on the socket, which stays open.
status, headers, body = post({"channel": channel, "events": ["1"]}, key="da2-wrongwrongwrongwrongwrong1")
report("http", status=status, type=headers["x-amzn-errortype"], body=body)
send(subscriber, {"type": "unsubscribe", "id": "nope"})
report("frame", frame=receive(subscriber))
send(subscriber, {"type": "subscribe", "id": "exact", "channel": "/default/other", "authorization": authorization})
report("frame", frame=receive(subscriber))
send(subscriber, {"type": "sing", "id": "song"})
report("frame", frame=receive(subscriber))

# Unsubscribe from the exact channel: the wildcard alone gets the next event.
send(subscriber, {"type": "unsubscribe", "id": "exact"})
report("frame", frame=receive(subscriber))
post({"channel": channel, "events": ['"last"']})
report("events", frames=[receive(subscriber)])
subscriber.close()

# A wrong key: the upgrade succeeds, the answer to the first frame is the refusal, then the socket closes.
refused = connect({**authorization, "x-api-key": "da2-wrongwrongwrongwrongwrong1"})
send(refused, {"type": "connection_init"})
report("frame", frame=receive(refused))
opcode, data = refused.recv_data()
report("closed", code=int.from_bytes(data[:2], "big") if opcode == websocket.ABNF.OPCODE_CLOSE else None)
