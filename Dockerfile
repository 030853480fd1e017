# An image that serves an exported model, without PyTorch: see docs/serving.md.
#
#     docker build -t setpiece-serve .
#     docker run --rm -p 8000:8000 -e SETPIECE_TOKEN=... -v "$PWD/cells.onnx:/cells.onnx:ro" setpiece-serve /cells.onnx

FROM python:3.11-slim AS build
WORKDIR /source
COPY constraints.txt ./
# What an exported model needs to be served; the package itself then comes without its dependencies, PyTorch among them.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir -c constraints.txt \
    faster-coco-eval fastapi jaxtyping numpy onnxruntime openvino pillow prometheus-client pydantic python-multipart \
    pyyaml rich scipy supervision typer uvicorn
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /venv/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --no-create-home --shell /usr/sbin/nologin --uid 10001 setpiece
COPY --from=build /venv /venv
# The file system may be read-only but for /tmp.
ENV MPLCONFIGDIR=/tmp PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["/venv/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/venv/bin/setpiece", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/model.onnx"]
