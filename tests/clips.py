"""Short videos of a rectangle that moves, made for tests."""

import io
import threading
import time
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np
from PIL import Image

TIME_BASE = Fraction(1, 90000)


def moving(number, size=(120, 160), colour=0):
    """Frame `number`: a rectangle of 40 x 30 pixels, four pixels further to the right in each. HWC RGB."""
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[30:60, 8 + 4 * number : 48 + 4 * number, colour] = 255
    return pixels


def write_clip(path, frames=20, *, size=(120, 160), steps=(3000,), turned=0, codec="libx264", fmt=None, options=None):
    """A clip whose frame n is `steps[n % len(steps)]` ticks of 1/90000 s before the next; returns the path."""
    with av.open(str(path), "w", format=fmt, options=options or {}) as container:
        stream = container.add_stream(codec, rate=30, options={"g": "5"} if codec == "libx264" else {})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p" if codec == "libx264" else "rgb24"
        stream.codec_context.time_base = TIME_BASE
        if turned:
            stream.set_display_rotation(turned)
        pts = 0
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(moving(number, size), format="rgb24")
            frame.pts, frame.time_base = pts, TIME_BASE
            pts += steps[number % len(steps)]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read_clip(path):
    """(seconds, HWC RGB) of each frame."""
    with av.open(str(path)) as container:
        return [(float(f.pts * f.time_base), f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]


@contextmanager
def camera_over_http(count, every):
    """The address of a camera that sends `count` pictures as JPEG, one in so many seconds."""

    class Camera(Quiet):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
            self.end_headers()
            for number in range(count):
                file = io.BytesIO()
                Image.fromarray(moving(number)).save(file, "JPEG")
                with suppress(ConnectionError):  # the address is opened twice
                    head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                    self.wfile.write(head % len(file.getvalue()) + file.getvalue() + b"\r\n")
                time.sleep(every)

    with _answering(Camera) as address:
        yield f"{address}/video"


@contextmanager
def files_over_http(folder):
    """The address under which the files of a folder are."""

    class Files(Quiet, SimpleHTTPRequestHandler):
        def copyfile(self, source, outputfile):
            with suppress(ConnectionError):  # who reads goes to another place of the file
                super().copyfile(source, outputfile)

    with _answering(partial(Files, directory=str(folder))) as address:
        yield address


class Quiet(BaseHTTPRequestHandler):
    """Prints nothing."""

    def log_message(self, *_):
        pass


@contextmanager
def _answering(handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
