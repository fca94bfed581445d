"""A real HTTP server on this machine that serves archives, with faults on demand."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, NamedTuple, cast

Fault = Literal[
    "cut",  # the first half of what was asked for, then the end of the connection
    "cut at once",  # headers only
    "begins anew and cuts",  # the first half of the file, whatever was asked for
    "chunked",  # no length, but an end, as GitHub does
    "chunked and cut",  # as above, half of it
    "ignores range",  # all of the file, whatever was asked for
    "wrong byte",  # one byte differs
    "says longer",  # declares more than it has
    "says shorter",  # declares and sends less than it has
    "says nothing",  # no length: the end of the connection is the end
    "says nothing and cuts",  # as above, half of it
    "wrong place",  # answers a range with another one
    "416",
    "404",
    "500",
    "redirect",
    "redirects for ever",
    "no HTTP",
]


class Asked(NamedTuple):
    """One request: path, and first byte asked for."""

    path: str
    start: int


class ArchiveServer(ThreadingHTTPServer):
    """Serves `files`; each request takes the next of `faults`, or none."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.etag = '"first"'
        self.faults: deque[Fault | None] = deque()
        self.asked: list[Asked] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = cast(ArchiveServer, self.server)
        content = server.files.get(self.path)
        requested = self.headers.get("Range", "")
        start = int(requested.removeprefix("bytes=").removesuffix("-") or 0)
        server.asked.append(Asked(self.path, start))
        fault = server.faults.popleft() if server.faults else None
        self.close_connection = True
        if fault == "no HTTP":
            self.wfile.write(b"220 an FTP server is ready\r\n")
        elif fault in ("404", "500") or content is None:
            self.send_error(int(fault) if fault in ("404", "500") else 404)
        elif fault in ("redirect", "redirects for ever"):
            self._redirect(fault)
        elif fault == "416" or (start >= len(content) and requested):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(content, start, fault)

    def _redirect(self, fault: Fault) -> None:
        server = cast(ArchiveServer, self.server)
        target = self.path if fault == "redirects for ever" else f"{self.path}?moved"
        # Before the answer: the next request may come as soon as that is sent.
        server.files[target] = server.files[self.path]
        if fault == "redirects for ever":
            server.faults.appendleft(fault)
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, start: int, fault: Fault | None) -> None:
        server = cast(ArchiveServer, self.server)
        unchanged = self.headers.get("If-Range", server.etag) == server.etag
        if fault in ("ignores range", "begins anew and cuts") or not unchanged:
            start = 0
        if fault == "wrong place":
            start += 1
        body = content[start:]
        if fault == "wrong byte":
            body = body[:-100] + bytes([body[-100] ^ 1]) + body[-99:]
        declared = len(body)
        if fault == "says longer":
            declared += 1_000
        if fault == "says shorter":
            declared -= 1_000
        if start:
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("ETag", server.etag)
        if fault in ("chunked", "chunked and cut"):
            self.send_header("Transfer-Encoding", "chunked")
        elif fault not in ("says nothing", "says nothing and cuts"):
            self.send_header("Content-Length", str(declared))
        self.end_headers()
        if fault == "cut at once":
            return
        sent = body[: len(body) // 2] if fault and "cut" in fault else body[:declared]
        if fault in ("chunked", "chunked and cut"):
            sent = b"%x\r\n%s\r\n" % (len(sent), sent) + (b"" if "cut" in fault else b"0\r\n\r\n")
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[ArchiveServer]:
    """A server that runs until the end of the block."""
    server = ArchiveServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
