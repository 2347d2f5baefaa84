"""[[ AppName ]]: a small HTTP service on the standard library.

    python3 service.py          listens on port [[ port | default(8080) ]]
    PORT=9000 python3 service.py
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETING = [[ greeting | default("Hello from " ~ AppName) | tojson ]]
DEFAULT_PORT = [[ port | default(8080) ]]


def answer(path):
    """Give status and body for a path."""
    if path == "/":
        return 200, {"message": GREETING}
    if path == "/healthz":
        return 200, {"status": "ok"}
    return 404, {"error": "not found"}


class Service(BaseHTTPRequestHandler):
    """Answers GET requests in JSON."""

    def do_GET(self):
        status, body = answer(self.path.partition("?")[0])
        payload = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *arguments):
        if os.environ.get("ACCESS_LOG"):
            super().log_message(*arguments)


def make_server(host="", port=DEFAULT_PORT):
    """Give a server that is bound and not serving yet; port 0 means any free one."""
    return ThreadingHTTPServer((host, port), Service)


def main():
    server = make_server(port=int(os.environ.get("PORT", DEFAULT_PORT)))
    print("listening on port", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
