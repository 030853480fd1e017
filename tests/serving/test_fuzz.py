"""Whatever is sent, it is not the server that fails. `benchmarks/serving.py --fuzz` sends more of it."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from ..colours import IMAGES, paint
from .images import encoded, mutated

CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)
OPERATIONS = ("POST /v1/detect", "GET /", "GET /healthz", "GET /readyz", "GET /metrics")


@pytest.fixture(scope="module")
def schema(server):
    return schemathesis.openapi.from_url(f"{server.address}/openapi.json")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_answers_are_those_of_the_openapi_description(schema, operation):
    method, path = operation.split()
    example = settings(max_examples=40 if method == "POST" else 3, phases=[Phase.explicit, Phase.generate])
    cautious = settings(example, suppress_health_check=list(HealthCheck), derandomize=True, database=None)

    @cautious
    @given(case=schema[path][method].as_strategy())
    def answers_as_described(case):
        case.call_and_validate(checks=list(CHECKS))

    answers_as_described()


def test_the_description_has_no_other_operations(schema):
    found = {each.ok().label for each in schema.get_all_operations()}
    assert found == set(OPERATIONS)


def test_damaged_images_are_refused_or_looked_at(server):
    picture = Image.fromarray(paint(*IMAGES[1]))
    seeds = [encoded(picture, format) for format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")]
    seeds += [encoded(picture.convert("CMYK"), "JPEG"), encoded(picture, "GIF", save_all=True, append_images=[picture])]
    seen = {}
    for content in mutated(seeds, 500):
        answer = server.post(content)
        assert answer.status_code in (200, 400, 413), (answer.status_code, answer.text, content)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
    assert seen[200] > 50
    assert seen[400] > 50
