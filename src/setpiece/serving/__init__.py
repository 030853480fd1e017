"""A detector behind HTTP: images in, JSON out. It needs no torch where the model is an exported one.

Needs FastAPI, uvicorn, prometheus-client and python-multipart: the extra `serve`.
"""

import importlib

from setpiece.errors import UsageError

for _package in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
    try:
        importlib.import_module(_package)
    except ModuleNotFoundError as error:
        raise UsageError(f"Serving needs the package {error.name}: pip install 'setpiece[serve]'.") from error
