"""The server that stands in for OpenAI's is as strict as OpenAI's, and runs as a process, too."""

import copy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.recommendations.prompt import SCHEMA
from tests.command import until
from tests.openai_behaviours import find_behaviour
from tests.openai_requests import PATH, Received, find_complaints

MESSAGE = '{"figures": [{"metric": "energy", "statistic": "average", "value": 60}], "topics": {"avoid": ["rest"]}}'
HEADERS = {"authorization": "Bearer sk-of-the-tests", "content-type": "application/json"}
BODY: dict[str, Any] = {
    "model": "gpt-of-the-tests",
    "messages": [{"role": "system", "content": "Advise."}, {"role": "user", "content": MESSAGE}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "recommendations", "strict": True, "schema": SCHEMA},
    },
}


def test_a_request_as_the_api_wants_it_is_taken() -> None:
    assert list(find_complaints(Received("POST", PATH, HEADERS, BODY))) == []


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (Received("POST", "/v1/completions", HEADERS, BODY), (404, "no POST /v1/completions")),
        (Received("POST", PATH, {"content-type": "application/json"}, BODY), (401, "no key")),
        (Received("POST", PATH, {"authorization": "Bearer sk-of-the-tests"}, BODY), (400, "no JSON object")),
        (Received("POST", PATH, HEADERS, b"{"), (400, "no JSON object")),
        (Received("POST", PATH, HEADERS, BODY | {"user_name": "ada"}), (400, "unknown: ['user_name']")),
        (Received("POST", PATH, HEADERS, BODY | {"model": ""}), (400, "no model")),
        (Received("POST", PATH, HEADERS, BODY | {"messages": []}), (400, "no messages")),
        (Received("POST", PATH, HEADERS, BODY | {"response_format": {"type": "json_object"}}), (400, "no JSON schema")),
    ],
)
def test_a_request_that_the_api_would_refuse_is_refused(request_: Received, complaint: tuple[int, str]) -> None:
    assert next(find_complaints(request_)) == complaint


def open_up(schema: dict[str, Any]) -> None:
    schema["$defs"]["Item"]["additionalProperties"] = True


def want_less(schema: dict[str, Any]) -> None:
    schema["$defs"]["Item"]["required"].remove("reasoning")


def limit_length(schema: dict[str, Any]) -> None:
    schema["$defs"]["Item"]["properties"]["reasoning"]["maxLength"] = 600


def forget_type(schema: dict[str, Any]) -> None:
    schema["$defs"]["Item"]["properties"]["reasoning"] = {"title": "Reasoning"}


def forget_definition(schema: dict[str, Any]) -> None:
    del schema["$defs"]["DataPoint"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (open_up, "an object that may have more"),
        (want_less, "an object that may have less"),
        (limit_length, "unknown keywords ['maxLength']"),
        (forget_type, "a node of no type"),
        (forget_definition, "a reference to nothing"),
    ],
)
def test_a_schema_that_is_not_strict_is_refused(change: Callable[[dict[str, Any]], None], complaint: str) -> None:
    body = copy.deepcopy(BODY)
    change(body["response_format"]["json_schema"]["schema"])

    assert next(find_complaints(Received("POST", PATH, HEADERS, body))) == (400, f"schema: {complaint}")


def test_a_script_of_unknown_behaviours_is_refused() -> None:
    with pytest.raises(ValueError, match="no behaviour 'sing'"):
        find_behaviour("sing")


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """Give the server as a process of its own, and its address."""
    port_file = tmp_path / "port"
    command = [sys.executable, "-W", "error", "-X", "dev", "-m", "tests.openai_server", "--port-file", str(port_file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as started:
        assert until(port_file.exists)
        yield started, f"http://127.0.0.1:{port_file.read_text()}"
        started.kill()


def test_it_is_told_what_to_do_and_tells_what_it_was_asked(process: tuple["subprocess.Popen[bytes]", str]) -> None:
    started, url = process
    with httpx.Client(base_url=url, headers=HEADERS) as client:
        sound = client.post(PATH, json=BODY)
        client.post("/script", json=["503:7", "refusal"])
        failed, refused = client.post(PATH, json=BODY), client.post(PATH, json=BODY)
        told = client.get("/requests").json()
        client.delete("/requests")
        cleared = client.get("/requests").json()
        # One that hangs does not keep it from stopping.
        client.post("/script", json=["hang"])
        with pytest.raises(httpx.ReadTimeout):
            client.post(PATH, json=BODY, timeout=0.1)
    started.send_signal(signal.SIGTERM)
    _, errors = started.communicate(timeout=10)

    assert sound.json()["choices"][0]["finish_reason"] == "stop"
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "7")
    assert refused.json()["choices"][0]["message"]["refusal"] == "I cannot help with that."
    assert told == {"count": 3, "mostInFlight": 1, "bodies": [BODY] * 3}
    assert cleared == {"count": 0, "mostInFlight": 0, "bodies": []}
    assert (started.returncode, errors) == (0, b"")
