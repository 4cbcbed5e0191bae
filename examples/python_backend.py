"""A product backend in Python, standard library only: HTTP for the conversation, plain Redis commands for the voice.

    FLEET_API=http://127.0.0.1:8080 FLEET_KEY=... FLEET_REDIS=redis://127.0.0.1:6379 python3 examples/python_backend.py speech.wav

With redis-py, `Redis.xadd(f"fleet:{{{id}}}:frames", fields, maxlen=12000)` takes the place of `Frames.add`.
"""

import json
import os
import socket
import sys
import urllib.request
import wave
from urllib.parse import urlparse

API = os.environ.get("FLEET_API", "http://127.0.0.1:8080")
KEY = os.environ.get("FLEET_KEY", "")
REDIS = urlparse(os.environ.get("FLEET_REDIS", "redis://127.0.0.1:6379"))


def ask(method, path, body=None, **headers):
    """One request to the api; the answer is open, to be read as JSON or line by line."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {KEY}", **({"content-type": "application/json"} if data else {}), **headers}
    return urllib.request.urlopen(urllib.request.Request(API + path, data, headers, method=method), timeout=60)


class Frames:
    """The way in for speech: entries of one Redis stream, named after Pipecat's frames."""

    def __init__(self, conversation_id):
        self.key = f"fleet:{{{conversation_id}}}:frames"
        self.line = socket.create_connection((REDIS.hostname, REDIS.port or 6379))
        self.answers = self.line.makefile("rb")

    def add(self, **fields):
        words = ["XADD", self.key, "MAXLEN", "~", "12000", "*"]
        words += [word for field in fields.items() for word in field]
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.line.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
        if not self.answers.readline().startswith(b"$"):
            raise RuntimeError("Redis refused the frame")
        self.answers.readline()  # the id of the entry


def events(conversation_id):
    """Server-sent events, taken up where they were when the line is cut."""
    last = "0"
    while True:
        try:
            with ask("GET", f"/v1/conversations/{conversation_id}/events", **{"last-event-id": last}) as lines:
                for line in lines:
                    if line.startswith(b"data: "):
                        event = json.loads(line[6:])
                        last = event["id"]
                        yield event["type"], event["data"]
                        if event["type"] == "ended":
                            return
        except (ConnectionError, TimeoutError):
            continue


def say(frames, path):
    with wave.open(path, "rb") as speech:
        sound = {"rate": speech.getframerate(), "channels": speech.getnchannels()}
        frames.add(type="tts-started", context="greeting")
        while audio := speech.readframes(sound["rate"] // 10):  # 100 ms a frame; faster than real time is welcome
            frames.add(type="tts-audio", **sound, audio=audio)
        frames.add(type="tts-stopped", context="greeting")


def main():
    request = {"replicaId": "r79e1c033f", "output": {"room": {"url": os.environ["ROOM"]}} if "ROOM" in os.environ else {}}
    with ask("POST", "/v1/conversations", request) as answer:
        conversation_id = json.load(answer)["conversationId"]
    print("conversation", conversation_id, flush=True)
    for kind, data in events(conversation_id):
        print("event", kind, json.dumps(data), flush=True)
        if kind == "state" and data["state"] == "live":
            say(Frames(conversation_id), sys.argv[1])
            # What was said before is heard to its end.
            ask("POST", f"/v1/conversations/{conversation_id}/stop", {}).close()
        if kind == "ended":
            print("ended", data["endReason"], flush=True)


main()
