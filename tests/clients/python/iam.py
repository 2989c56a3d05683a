"""A Python client that signs with botocore: websocket-client for the WebSocket, botocore's own session for HTTP.

Usage: iam.py URL REGION CHANNEL, with the credentials in the environment as for every AWS tool. Converses with the gateway and
prints one JSON line for each thing that happened.
"""

import base64
import json
import sys
from urllib.parse import urlsplit

import websocket
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from botocore.session import Session

url, region, channel = sys.argv[1:]
host = urlsplit(url).netloc
credentials = Session().get_credentials()


def report(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def sign(body, credentials=credentials):
    request = AWSRequest(
        method="POST",
        url=f"{url}/event",
        data=body,
        headers={
            "accept": "application/json, text/javascript",
            "content-encoding": "amz-1.0",
            "content-type": "application/json; charset=UTF-8",
        },
    )
    SigV4Auth(credentials, "appsync", region).add_auth(request)
    return {"host": host, **dict(request.headers)}


def post(body, credentials=credentials):
    request = AWSRequest(method="POST", url=f"{url}/event", data=body, headers={"content-type": "application/json"})
    SigV4Auth(credentials, "appsync", region).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    report("http", status=answer.status_code, type=answer.headers.get("x-amzn-errortype"), body=json.loads(answer.content))


def connect(credentials=credentials):
    header = base64.urlsafe_b64encode(json.dumps(sign("{}", credentials)).encode()).decode().rstrip("=")
    connection = websocket.create_connection(
        url.replace("http", "ws", 1) + "/event/realtime",
        subprotocols=["aws-appsync-event-ws", "header-" + header],
        timeout=15,
    )
    connection.send(json.dumps({"type": "connection_init"}))
    return connection


def receive(connection):
    report("frame", frame=json.loads(connection.recv()))


connection = connect()
receive(connection)
receive(connection)

# What is signed is compact, what is sent has spaces, and both have non-ASCII characters escaped: Python's defaults.
connection.send(
    json.dumps({"type": "subscribe", "id": "s", "channel": channel, "authorization": sign(compact({"channel": channel}))})
)
receive(connection)

events = [json.dumps({"text": 'é <b>&amp;</b> / \\ "', "n": n}) for n in (1, 2)]
connection.send(
    json.dumps(
        {
            "type": "publish",
            "id": "p",
            "channel": channel,
            "events": events,
            "authorization": sign(compact({"channel": channel, "events": events})),
        }
    )
)
for _ in range(3):
    receive(connection)

# The same publish, but for one letter that the signature does not cover.
connection.send(
    json.dumps(
        {
            "type": "publish",
            "id": "forged",
            "channel": channel,
            "events": ['"b"'],
            "authorization": sign(compact({"channel": channel, "events": ['"a"']})),
        }
    )
)
receive(connection)

# Over HTTP the body is signed as it is sent, whatever its spelling; requests, or boto3 behind a Lambda, do the same.
post(json.dumps({"channel": channel, "events": ['"escaped é"']}))
receive(connection)
post(json.dumps({"channel": channel, "events": ['"plain é 🎺"']}, ensure_ascii=False).encode())
receive(connection)

stranger = Credentials(credentials.access_key, "not-the-secret", credentials.token)
post(compact({"channel": channel, "events": ["1"]}), stranger)
refused = connect(stranger)
receive(refused)
