"""Forms out of the schemas that Prefect really records, and what is typed into them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.errors import BadInput
from tools.form_fields import FormField
from tools.masks import MASK_START
from tools.parameter_form import ParameterForm, parameter_form
from tools.parameter_types import parse_typed
from tools.parameters import check_parameters

NEEDED = {"anything": 1, "rows": 2, "dry": False, "source": {"server": {"host": "db"}}, "label": None}


@pytest.fixture(scope="module")
def schema(typed_schema: dict[str, Any]) -> dict[str, Any]:
    return typed_schema


def form_of(schema: dict[str, Any], *, defaults: dict[str, Any] | None = None, **given: Any) -> ParameterForm:
    return parameter_form(schema, defaults=defaults or {}, given=given)


def one(spec: dict[str, Any], *, required: bool = False, **more: Any) -> FormField:
    """The field of the only parameter of a schema."""
    schema = {"properties": {"x": spec}, "required": ["x"] if required else []}
    return form_of(schema, **more).fields[0]


def read_one(spec: dict[str, Any], text: str, *, required: bool = False, **more: Any) -> Any:
    """The value that a text gives; the error where it is none, and ... where it gives nothing."""
    schema = {"properties": {"x": spec}, "required": ["x"] if required else []}
    filled = form_of(schema, **more).read({"x": text})
    return filled.errors.get("x") or filled.values.get("x", ...)


def test_every_kind_of_parameter_has_its_kind_of_field(schema: dict[str, Any]) -> None:
    kinds: dict[str, str] = {field.name: field.kind for field in form_of(schema).fields}
    assert kinds == {
        **dict.fromkeys(["anything", "bare", "label", "text", "at", "every", "code", "either"], "text"),
        **dict.fromkeys(["price", "folder", "id"], "text"),
        **dict.fromkeys(["rows", "limit", "step"], "integer"),
        **dict.fromkeys(["mode", "mixed", "only", "region", "other", "level"], "choice"),
        **dict.fromkeys(["modes", "regions"], "multi-choice"),
        **dict.fromkeys(["source", "names", "tags", "pair", "extra", "counts", "mirror"], "json"),
        **dict.fromkeys(["day", "until"], "date"),
        **dict.fromkeys(["due", "when"], "datetime"),
        **dict.fromkeys(["pin", "api_key"], "secret"),
        "dry": "boolean",
        "share": "number",
    }
    assert list(kinds)[:5] == list(NEEDED)  # The order of the flow's signature.


def test_a_field_says_what_it_takes(schema: dict[str, Any]) -> None:
    fields = {field.name: field for field in form_of(schema).fields}
    assert fields["rows"].help == "how many rows to read."
    assert fields["limit"].type == "a whole number or null"
    assert fields["share"].constraints == ("at least 0", "at most 1")
    assert fields["step"].constraints == ("more than 0", "less than 100", "a multiple of 5")
    assert fields["code"].constraints == (
        "at least 2 characters",
        "at most 4 characters",
        "of the form ^[a-z]+$",
    )
    assert [choice.text for choice in fields["region"].choices] == ["eu", "us"]
    assert [choice.text for choice in fields["other"].choices] == ["eu", "us", "null"]
    assert [choice.value for choice in fields["level"].choices] == [1, 2]
    assert [choice.value for choice in fields["mixed"].choices] == ["a", 1, None]
    assert fields["due"].type == "a date and time such as 2026-11-23T08:00:00Z"
    assert {field.name for field in fields.values() if field.must_be_filled} == {*NEEDED} - {"label"}


def test_an_untouched_form_of_defaults_gives_the_run_nothing(schema: dict[str, Any]) -> None:
    form = form_of(schema, defaults=NEEDED)
    for texts in ({}, {field.name: field.shown for field in form.fields}):
        filled = form.read(texts)
        assert (filled.values, filled.errors) == ({}, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
WORDS = st.text(max_size=30)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "anything": JSON,
    "rows": st.integers(),
    "dry": st.booleans(),
    "label": st.none() | WORDS,
    "bare": JSON,
    "text": WORDS,
    "limit": st.none() | st.integers(),
    "share": st.floats(0, 1),
    "mode": st.sampled_from(["fast", "slow"]),
    "mixed": st.sampled_from(["a", 1, None]),
    "level": st.sampled_from([1, 2]),
    "other": st.sampled_from(["eu", "us", None]),
    "when": st.none() | st.datetimes().map(lambda moment: moment.isoformat()),
    "day": st.dates().map(lambda day: day.isoformat()),
    "names": st.lists(WORDS, max_size=4),
    "modes": st.lists(st.sampled_from(["x", "y"]), max_size=3),
    "counts": st.dictionaries(WORDS, st.integers(), max_size=3),
    "either": st.integers() | WORDS,
    "pin": WORDS,
    "api_key": WORDS,
}


@settings(max_examples=60, deadline=None)
@given(values=st.fixed_dictionaries({}, optional=VALUES))
def test_an_untouched_form_leaves_every_value_as_it_was(schema: dict[str, Any], values: Any) -> None:
    form = form_of(schema, defaults=NEEDED, **values)
    filled = form.read({field.name: field.shown for field in form.fields})
    assert filled.values == values
    assert not filled.errors


@settings(max_examples=60, deadline=None)
@given(
    texts=st.dictionaries(
        st.sampled_from([*VALUES]),
        st.text(max_size=12)
        | st.sampled_from(
            [
                "null",
                "true",
                "1",
                "-0.5",
                "[]",
                '["x"]',
                "{}",
                "fast",
                "eu",
                "2026-11-23",
                "2026-11-23T08:00:00Z",
            ]
        ),
    )
)
def test_what_a_form_lets_pass_the_check_of_the_run_lets_pass(schema: dict[str, Any], texts: Any) -> None:
    filled = form_of(schema, defaults=NEEDED).read(texts)
    good = {name: value for name, value in filled.values.items() if name not in filled.errors}
    assert check_parameters(schema, good, NEEDED).items() >= good.items()
    for name in filled.errors.keys() & filled.values.keys():
        with pytest.raises(BadInput):
            check_parameters(schema, {name: filled.values[name]}, NEEDED)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rows", "5", 5),
        ("rows", " 5 ", 5),
        ("share", "0.25", 0.25),
        ("dry", "true", True),
        ("dry", "No", False),
        ("text", "5", "5"),
        ("text", '""', ""),
        ("label", "null", None),
        ("label", "", None),
        ("limit", "", None),
        ("limit", "null", None),
        ("mode", "slow", "slow"),
        ("level", "2", 2),
        ("mixed", "null", None),
        ("mixed", "1", 1),
        ("region", "us", "us"),
        ("names", '["c"]', ["c"]),
        ("regions", '["us"]', ["us"]),
        ("when", "2026-11-23T08:00:00+01:00", "2026-11-23T08:00:00+01:00"),
        ("source", '{"server": {"host": "h", "port": 1}}', {"server": {"host": "h", "port": 1}}),
        ("either", "5", 5),
        ("either", "five", "five"),
        ("bare", "five", "five"),
        ("bare", "[1]", [1]),
    ],
)
def test_a_text_is_read_as_the_parameter_wants_it(
    schema: dict[str, Any], name: str, text: str, value: Any
) -> None:
    filled = form_of(schema, defaults={**NEEDED, "label": "x", "rows": 1}).read({name: text})
    assert (filled.values[name], filled.errors) == (value, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rows", 9),
        ("share", 0.1),
        ("dry", True),
        ("text", "z"),
        ("mode", "slow"),
        ("names", ["z"]),
        ("day", "2026-05-05"),
        ("due", "2026-05-05T00:00:00"),
        ("either", "z"),
    ],
)
def test_what_is_emptied_and_has_a_default_stays_out(schema: dict[str, Any], name: str, value: Any) -> None:
    form = form_of(schema, defaults=NEEDED, **{name: value})
    assert form.read({}).values == {name: value}
    assert form.read({name: "  "}).values == {}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("rows", "", "It is required and has no value."),
        ("rows", "many", '"many" is not a whole number.'),
        ("rows", "1.5", "1.5 is not a whole number."),
        ("share", "2", "2 is more than 1."),
        ("code", "toolong", '"toolong" is longer than 4 characters.'),
        ("code", "A1", '"A1" does not have the form ^[a-z]+$.'),
        ("mode", "mid", '"mid" is not one of "fast", "slow".'),
        ("level", "3", "3 is not one of 1, 2."),
        ("due", "tomorrow", '"tomorrow" is not a valid date-time.'),
        ("day", "23.11.2026", '"23.11.2026" is not a valid date.'),
        ("names", "a, b", '"a, b" is not a list.'),
        ("names", '["a"', "This is not valid JSON: Expecting ',' delimiter in line 1, column 5."),
        ("names", '["a", 3]', "names[1]: 3 is not a text."),
        ("modes", '["z"]', 'modes[0]: "z" is not one of "x", "y".'),
        ("source", "{}", "source.server: it is required and has no value."),
        ("mirror", '{"server": {"host": 1}}', "mirror.server.host: 1 is not a text."),
        ("extra", '{"a": {"__prefect_kind": "json"}}', "holds `__prefect_kind`"),
        ("text", f"x{MASK_START}: token]", "holds the mask of a secret"),
        ("pin", "**********", "holds the mask of a secret"),
    ],
)
def test_a_problem_is_told_at_its_field_alone(
    schema: dict[str, Any], name: str, text: str, sentence: str
) -> None:
    defaults = {key: value for key, value in NEEDED.items() if key != name}
    filled = form_of(schema, defaults=defaults).read({name: text})
    assert sentence in filled.errors[name]
    assert list(filled.errors) == [name]


def test_all_problems_are_told_at_once(schema: dict[str, Any]) -> None:
    filled = form_of(schema).read({"rows": "x", "share": "2", "names": "["})
    assert {"rows", "share", "names", "anything", "dry", "source"} == set(filled.errors)


def test_a_secret_is_not_shown_and_stays_unless_another_is_typed() -> None:
    spec = {"type": "string", "format": "password", "writeOnly": True}
    field = one(spec, x="hunter2")
    assert (field.kind, field.shown) == ("secret", "")
    assert "hunter2" not in f"{field.when_empty}{field.fallback_shown}{field.shown}"
    assert read_one(spec, "", x="hunter2") == "hunter2"
    assert read_one(spec, "other", x="hunter2") == "other"


@pytest.mark.parametrize("name", ["db_password", "plain"])
def test_a_text_that_is_a_secret_by_name_or_shape_is_one(name: str) -> None:
    schema = {"properties": {name: {"type": "string"}}}
    value = "hunter2-and-more" if name == "db_password" else "ghp_" + "a1B2" * 9
    form = form_of(schema, defaults={name: value})
    assert form.fields[0].kind == "secret"
    assert value not in repr((form.fields[0].shown, form.fields[0].fallback_shown, form.as_json))
    assert form.read({name: ""}).values == {}


def test_a_secret_inside_a_model_is_masked_and_its_mask_is_never_sent(schema: dict[str, Any]) -> None:
    source = {"server": {"host": "db", "port": 1, "pin": "4711"}, "tables": []}
    form = form_of(schema, defaults=NEEDED, source=source)
    shown = next(field.shown for field in form.fields if field.name == "source")
    assert "4711" not in shown
    assert json.loads(shown)["server"]["pin"].startswith(MASK_START)
    assert form.read({"source": shown}).values == {"source": source}
    assert "mask of a secret" in form.read({"source": shown.replace('"db"', '"evil"')}).errors["source"]
    new = {"server": {"host": "db", "pin": "9999"}}
    assert form.read({"source": json.dumps(new)}).values == {"source": new}


def test_a_value_that_the_server_looks_up_is_kept_while_it_is_not_touched() -> None:
    looked_up = {"__prefect_kind": "workspace_variable", "variable_name": "rows"}
    spec = {"type": "integer"}
    field = one(spec, defaults={"x": looked_up})
    assert field.kind == "json"
    schema = {"properties": {"x": spec}}
    assert form_of(schema, defaults={"x": looked_up}).read({"x": field.shown}).values == {}
    assert read_one(spec, "5", defaults={"x": looked_up}) == 5


def test_the_deployments_own_value_stands_over_the_signatures_default() -> None:
    field = one({"type": "integer", "default": 1}, defaults={"x": 7})
    assert (field.shown, field.when_empty) == ("7", "Leave it empty for the default, 7.")


def test_a_schema_of_an_older_pydantic_is_read_as_well() -> None:
    schema = {
        "properties": {
            "mode": {"allOf": [{"$ref": "#/definitions/Mode"}], "default": "fast", "title": "mode"},
            "limit": {"type": "integer", "title": "limit"},
            "names": {"type": "array", "items": {"$ref": "#/definitions/Mode"}},
        },
        "definitions": {"Mode": {"enum": ["fast", "slow"], "description": "An enumeration."}},
    }
    mode, limit, names = form_of(schema).fields
    assert (mode.kind, mode.shown, mode.title) == ("choice", "fast", "")
    assert (limit.kind, limit.nullable, names.kind) == ("integer", True, "multi-choice")
    assert form_of(schema).read({"limit": "null", "mode": "slow"}).values == {"limit": None, "mode": "slow"}


def test_an_enum_that_may_be_null_is_read_as_its_values_are() -> None:
    schema = {
        "properties": {
            "year": {"anyOf": [{"$ref": "#/definitions/Year"}, {"type": "null"}], "default": None}
        },
        "definitions": {"Year": {"enum": ["2025", "2026"], "type": "string"}},
    }
    assert form_of(schema).read({"year": "2026"}).values == {"year": "2026"}
    assert parse_typed(schema, {"year": "2026"}) == {"year": "2026"}


@pytest.mark.parametrize(
    "spec",
    [
        {"$ref": "#/definitions/Loop"},
        {"$ref": "#/nowhere"},
        {"anyOf": [{"$ref": "#/definitions/Loop"}, {"type": "null"}]},
        {"type": "array", "items": {"$ref": "#/definitions/Loop"}},
    ],
)
def test_a_schema_that_leads_nowhere_still_makes_a_field(spec: dict[str, Any]) -> None:
    loop = {"Loop": {"anyOf": [{"$ref": "#/definitions/Loop"}, {"type": "integer"}]}}
    form = form_of({"properties": {"x": spec}, "definitions": loop}, x=[1])
    assert form.read({"x": form.fields[0].shown}).values == {"x": [1]}


def test_a_schema_of_odd_shape_leaves_what_it_does_not_describe_as_it_is() -> None:
    form = form_of({"properties": {"x": True, "y": {"position": "last"}, "z": {"position": 0}}}, x=[1])
    assert [field.name for field in form.fields] == ["y", "z"]
    assert form.read({}).values == {"x": [1]}


def test_without_a_schema_there_is_nothing_to_fill_in() -> None:
    form = form_of({}, x=1)
    assert (form.fields, form.read({}).values) == ((), {"x": 1})


def test_all_parameters_can_be_edited_as_one_json_object(schema: dict[str, Any]) -> None:
    form = form_of(schema, defaults=NEEDED, rows=3, pin="4711")
    assert "4711" not in form.as_json
    assert form.read_json(form.as_json).values == {"rows": 3, "pin": "4711"}
    assert form.read_json(form.as_json.replace("3", "4", 1)).values == {"rows": 4, "pin": "4711"}
    assert form.read_json("").values == {}
    assert form.read_json('{"rows": "x"}').errors == {"rows": '"x" is not a whole number.'}
    assert form.read_json('{"row": 1}').errors == {"row": "There is no such parameter."}
    assert form.read_json("[1]").errors == {"": "This is no JSON object."}
    assert "This is not valid JSON" in form.read_json("{").errors[""]
    assert "mask of a secret" in form.read_json('{"text": "**********"}').errors[""]
