from typing import Any

import pytest

from knowledge.errors import BadInput
from tools.masks import mask
from tools.parameter_types import parse_typed, parse_value, type_in_words
from tools.parameters import check_job_variables, check_parameters

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rows": {"type": "integer", "position": 0},
        "mode": {"allOf": [{"$ref": "#/definitions/Mode"}], "default": "fast", "position": 1},
        "day": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}], "default": None},
        "share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
        "names": {"type": "array", "items": {"type": "string"}},
        "deep": {"$ref": "#/definitions/Deep"},
        "label": {"type": "string", "default": "x"},
        "dry": {"type": "boolean", "default": False},
    },
    "required": ["rows"],
    "definitions": {
        "Mode": {"type": "string", "enum": ["fast", "slow"]},
        "Deep": {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "integer"}}},
    },
}


def complaint(given: dict[str, Any], defaults: dict[str, Any] | None = None) -> BadInput:
    with pytest.raises(BadInput) as caught:
        check_parameters(SCHEMA, given, defaults or {})
    return caught.value


def test_given_values_stand_over_the_deployments_own() -> None:
    assert check_parameters(SCHEMA, {"rows": 2}, {"rows": 1, "label": "y"}) == {"rows": 2, "label": "y"}


def test_a_required_value_may_come_from_the_deployment() -> None:
    assert check_parameters(SCHEMA, {}, {"rows": 1}) == {"rows": 1}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param({}, "rows: it is required and has no value", id="required"),
        pytest.param({"rows": "5"}, 'rows: "5" is not a whole number', id="text-for-integer"),
        pytest.param({"rows": None}, "rows: null is not a whole number", id="null"),
        pytest.param({"rows": True}, "rows: true is not a whole number", id="truth-for-integer"),
        pytest.param({"rows": 1, "mode": "mid"}, 'mode: "mid" is not one of "fast", "slow"', id="enum"),
        pytest.param({"rows": 1, "day": "tomorrow"}, 'day: "tomorrow" is not a valid date-time', id="date"),
        pytest.param({"rows": 1, "share": 2}, "share: 2 is more than 1", id="maximum"),
        pytest.param({"rows": 1, "names": ["a", 3]}, "names[1]: 3 is not a text", id="inside-a-list"),
        pytest.param({"rows": 1, "deep": {"port": "x"}}, 'deep.port: "x" is not a whole number', id="nested"),
        pytest.param({"rows": 1, "dry": "yes"}, 'dry: "yes" is not true or false', id="boolean"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_fits(given: dict[str, Any], sentence: str) -> None:
    error = complaint(given)
    assert sentence in error.message
    assert "rows (a whole number, required)" in error.fix


@pytest.mark.parametrize("day", [None, "2026-11-22", "2026-11-22T08:00:00Z", "2026-11-22T08:00:00+01:00"])
def test_a_time_is_taken_as_the_flow_would_take_it(day: str | None) -> None:
    assert check_parameters(SCHEMA, {"rows": 1, "day": day}, {})["day"] == day


def test_several_problems_are_told_at_once_but_not_endlessly() -> None:
    error = complaint({"rows": "x", "names": list(range(50))})
    assert error.message.count("is not") == 5


def test_a_long_value_is_cut_in_the_complaint() -> None:
    assert len(complaint({"rows": "x" * 5000}).message) < 300


def test_an_unknown_parameter_is_refused_with_the_nearest() -> None:
    error = complaint({"row": 1})
    assert "There is no parameter 'row'" in error.message
    assert "Did you mean 'rows'?" in error.fix


@pytest.mark.parametrize(
    "value",
    [
        {"__prefect_kind": "workspace_variable", "variable_name": "v"},
        [{"a": {"__prefect_kind": "json", "value": "1"}}],
    ],
)
def test_a_value_that_the_server_would_look_up_is_refused(value: Any) -> None:
    assert "__prefect_kind" in complaint({"rows": 1, "deep": value}).message
    with pytest.raises(BadInput, match="__prefect_kind"):
        check_parameters({}, {"x": value}, {})


def test_the_mask_of_a_secret_is_no_value() -> None:
    assert "mask of a secret" in complaint({"rows": 1, "label": f"x{mask('token')}"}).message


def test_without_a_schema_anything_passes_as_the_server_has_it() -> None:
    assert check_parameters({}, {"any": [1, None]}, {"own": 2}) == {"own": 2, "any": [1, None]}


def test_a_flow_without_parameters_takes_none() -> None:
    with pytest.raises(BadInput) as caught:
        check_parameters({"type": "object", "properties": {}}, {"x": 1}, {})
    assert "takes no parameters" in caught.value.fix


def test_an_old_schemas_optional_value_may_be_null() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    assert check_parameters(schema, {"x": None}, {}) == {"x": None}


def test_a_broken_schema_is_left_to_the_server() -> None:
    schema = {"type": "object", "properties": {"x": {"$ref": "#/nowhere"}}}
    assert check_parameters(schema, {"x": 1}, {}) == {"x": 1}


def test_job_variables_are_checked_against_the_pools_template() -> None:
    schema = {"type": "object", "properties": {"image": {"type": "string"}, "cpu": {"type": "integer"}}}
    check_job_variables(schema, {"image": "a", "cpu": 1})
    with pytest.raises(BadInput, match="no job variable 'imag'"):
        check_job_variables(schema, {"imag": "a"})
    with pytest.raises(BadInput, match='cpu: "x" is not a whole number'):
        check_job_variables(schema, {"cpu": "x"})


def test_a_job_variable_cannot_read_stored_secrets() -> None:
    with pytest.raises(BadInput, match="template"):
        check_job_variables({}, {"env": {"X": "{{ prefect.blocks.secret.prod }}"}})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rows", "5", 5),
        ("rows", "five", "five"),
        ("label", "5", "5"),
        ("label", "null", "null"),
        ("mode", "1", "1"),
        ("day", "null", None),
        ("day", "2026-11-22", "2026-11-22"),
        ("share", "0.5", 0.5),
        ("names", '["a", "b"]', ["a", "b"]),
        ("deep", '{"port": 1}', {"port": 1}),
        ("dry", "yes", True),
        ("dry", "FALSE", False),
        ("unknown", "5", 5),
    ],
)
def test_a_typed_word_becomes_what_its_parameter_wants(name: str, text: str, value: Any) -> None:
    assert parse_typed(SCHEMA, {name: text}) == {name: value}


def test_a_typed_word_for_any_type_is_read_as_json_if_it_is_any() -> None:
    assert parse_value("5", {}) == 5
    assert parse_value("a b", {}) == "a b"


def test_types_are_told_in_words() -> None:
    told = {name: type_in_words(SCHEMA, spec) for name, spec in SCHEMA["properties"].items()}
    assert told["rows"] == "a whole number"
    assert told["mode"] == "a text"
    assert told["day"] == "a text (date-time) or null"
    assert told["names"] == "a list"


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ({"type": "string", "format": "password", "writeOnly": True}, 987654),
        ({"anyOf": [{"type": "string", "format": "password"}, {"type": "null"}]}, 987654),
        ({"type": "object", "properties": {"pin": {"type": "string", "writeOnly": True}}}, {"pin": 987654}),
        ({"type": "array", "items": {"type": "integer"}}, ["https://ann:987654@db.example.com"]),
    ],
)
def test_a_secret_that_does_not_fit_is_not_shown(spec: dict[str, Any], value: Any) -> None:
    with pytest.raises(BadInput) as refused:
        check_parameters({"type": "object", "properties": {"x": spec}}, {"x": value}, {})
    assert "987654" not in refused.value.message
    assert "x" in refused.value.message
