"""Ask a server from many clients at once, end it under load, and send it what is no image.

    python benchmarks/serving.py MODEL [--seconds 60] [--clients 64] [--max-batch 8]
    python benchmarks/serving.py MODEL --fuzz 20000

Images are scenes of mixed sizes, as JPEG. Servers with and without batches are asked in turn, three times each; clients
and server share the machine. Then SIGTERM comes while all clients ask: a request counts as lost if it was sent on a
connection that the server had accepted, and no answer came.

`--fuzz` sends that many damaged images and as many requests that schemathesis makes from the server's own description
(a tenth of them), and prints the server's memory before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np
from PIL import Image

from setpiece.data.scenes import draw_scene

SIZES = ((640, 480), (480, 640), (1280, 960), (320, 320), (1920, 1080))
WARM = 2.0  # seconds that do not count
CUTS = 3  # times that each server is asked


@dataclass
class Seen:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    batches: list[int] = field(default_factory=list)


@contextmanager
def serving(model: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of its own process, and its address."""
    command = [sys.executable, "-m", "setpiece.cli", "serve", model, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while (address := re.search(r"http://\S+", said)) is None:  # after what it says of its precision
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"The server did not start: {said}")
            said += line
        try:
            yield process, address[0]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def pictures() -> list[bytes]:
    """Scenes of mixed sizes, as JPEG."""
    files = []
    for seed, size in enumerate(SIZES):
        file = io.BytesIO()
        Image.fromarray(draw_scene(seed)[0]).resize(size).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


async def ask(address: str, files: list[bytes], clients: int, seconds: float, ending: asyncio.Event) -> Seen:
    """Each client sends an image, waits for the answer and sends the next, until the time is over or the server."""
    seen, until = Seen(), time.perf_counter() + WARM + seconds
    from_then = time.perf_counter() + WARM

    async def client(number: int, session: httpx.AsyncClient) -> None:
        turn = number
        while time.perf_counter() < until:
            started = time.perf_counter()
            turn += 1
            try:
                answer = await session.post(
                    "v1/detect", content=files[turn % len(files)], headers={"Content-Type": "image/jpeg"}
                )
            except httpx.ConnectError:  # nobody accepted it
                seen.statuses["refused"] += 1
                if ending.is_set():
                    return
                continue
            except httpx.HTTPError as error:
                seen.statuses[f"lost ({type(error).__name__})"] += 1
                continue
            seen.statuses[str(answer.status_code)] += 1
            if from_then <= time.perf_counter() < until:
                seen.seconds.append(time.perf_counter() - started)
                if answer.status_code == 200:
                    seen.batches.append(answer.json()["timing"]["batch"])

    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as session:
        await asyncio.gather(*(client(number, session) for number in range(clients)))
    return seen


def under_load(options: argparse.Namespace, files: list[bytes]) -> None:
    """Throughput and latencies, with batches and without, in turn."""
    rates: dict[int, list[float]] = {options.max_batch: [], 1: []}
    print("| --max-batch | images/s | p50 ms | p95 ms | p99 ms | images in a batch | answers |")
    print("|---|---|---|---|---|---|---|")
    for _ in range(CUTS):
        for most, kept in rates.items():
            with serving(options.model, "--max-batch", str(most)) as (_, address):
                seen = asyncio.run(ask(address, files, options.clients, options.seconds / CUTS, asyncio.Event()))
            kept.append(len(seen.seconds) / (options.seconds / CUTS))
            p50, p95, p99 = 1000 * np.percentile(seen.seconds, (50, 95, 99))
            said = ", ".join(f"{count} x {status}" for status, count in seen.statuses.items())
            together = np.mean(seen.batches)
            print(
                f"| {most} | {kept[-1]:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {together:.1f} | {said} |", flush=True
            )
    batched, alone = (float(np.median(kept)) for kept in rates.values())
    print(f"\n{batched / alone:.2f} times the images per second of --max-batch 1 (medians)")


def under_sigterm(options: argparse.Namespace, files: list[bytes]) -> None:
    """What clients see when the server is told to end."""

    async def run(process: subprocess.Popen[str], address: str) -> Seen:
        ending = asyncio.Event()
        asking = asyncio.create_task(ask(address, files, options.clients, 60, ending))
        await asyncio.sleep(WARM + 2)
        ending.set()
        process.send_signal(signal.SIGTERM)
        return await asking

    with serving(options.model, "--max-batch", str(options.max_batch)) as (process, address):
        seen = asyncio.run(run(process, address))
        code = process.wait()
    said = ", ".join(f"{count} x {status}" for status, count in sorted(seen.statuses.items()))
    lost = sum(count for status, count in seen.statuses.items() if status.startswith("lost"))
    print(f"SIGTERM under load: {said}; {lost} lost; exit code {code}")


def damaged(seeds: list[bytes], count: int) -> Iterator[bytes]:
    """Images in which bytes were changed, dropped or cut off."""
    random = np.random.default_rng(0)
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)])
        for place in random.integers(len(data), size=4).tolist() + random.integers(64, size=2).tolist():
            if random.random() < 0.7:
                data[place % len(data)] = int(random.integers(256))
            else:
                del data[place : place + int(random.integers(1, 16))]
        yield bytes(data[: random.integers(1, len(data))] if random.random() < 0.2 else data)


def fuzz(options: argparse.Namespace) -> None:
    """Damaged images, and requests of schemathesis."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import not_a_server_error

    seeds = []
    for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"):
        file = io.BytesIO()
        Image.fromarray(draw_scene(0)[0]).resize((160, 120)).save(file, format)
        seeds.append(file.getvalue())
    statuses: Counter[int] = Counter()
    with serving(options.model) as (_, address), httpx.Client(base_url=address, timeout=60) as session:

        def memory() -> float:
            found = re.search(r"^process_resident_memory_bytes (\S+)", session.get("metrics").text, re.MULTILINE)
            return float(found[1]) / 1e6 if found else float("nan")

        kept = []
        for number, content in enumerate(damaged(seeds, options.fuzz)):
            statuses[session.post("v1/detect", content=content, headers={"Content-Type": "image/png"}).status_code] += 1
            if number % max(1, options.fuzz // 10) == 0:
                kept.append(memory())
        schema = schemathesis.openapi.from_url(f"{address}openapi.json")
        for method, path in (("POST", "/v1/detect"), ("GET", "/"), ("GET", "/metrics"), ("GET", "/healthz")):

            @settings(max_examples=max(1, options.fuzz // 10), suppress_health_check=list(HealthCheck), deadline=None)
            @given(case=schema[path][method].as_strategy())
            def never_fails(case: schemathesis.Case) -> None:
                answer = case.call()
                statuses[answer.status_code] += 1
                case.validate_response(answer, checks=[not_a_server_error])

            never_fails()
        kept.append(memory())
    print(f"statuses: {dict(sorted(statuses.items()))}")
    print(f"memory in MB: {', '.join(f'{each:.0f}' for each in kept)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=60, help="of load for each server, in all")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--max-batch", type=int, default=8)
    parser.add_argument("--fuzz", type=int, default=0, help="so many damaged images, instead of the load")
    options = parser.parse_args()
    if options.fuzz:
        fuzz(options)
        return
    files = pictures()
    under_load(options, files)
    under_sigterm(options, files)


if __name__ == "__main__":
    main()
