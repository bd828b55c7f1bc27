"""A handler for the host's tests: what it does is told by the event or the environment. Standard library only."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_GET(self):
        if self.path == "/":
            return self.answer(200, "text/plain", b"ready")
        self.echo()

    def echo(self):
        # Ends once, before its answer.
        if "die-once" in self.path and not os.path.exists("died"):
            open("died", "w").close()
            os._exit(1)
        if "begin-only" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"begun")
            Event().wait()
        seen = {"method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
        self.answer(418, "application/json", json.dumps(seen).encode())

    def do_POST(self):
        body = self.body()
        if self.path.startswith("/api/"):
            print("forwarded a body of " + str(len(body)), flush=True)
            return self.echo()
        print("invoked " + self.path + " " + body.decode(), flush=True)
        act = json.loads(body)["Data"].get("event", {}).get("data", {}).get("act", "succeed")
        if act == "fail":
            self.answer(500, "application/json", b"{}")
        elif act == "hang":
            Event().wait()
        elif act == "answer nothing":
            self.answer(200, "application/json", b"")
        elif act == "answer text":
            self.answer(200, "text/plain", b"done")
        elif act == "warn":
            print("this is a warning", file=sys.stderr, flush=True)
            self.answer(200, "application/json", b'{"Logs": ["said in the invocation"]}')
        else:
            self.answer(200, "application/json", b"{}")

    do_DELETE = do_GET

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["FUNCTIONS_CUSTOMHANDLER_PORT"])), Handler).serve_forever()
