"""Strict models of plain data, and their faults in the house's words.

A fault says where, the rule, the value and the remedy; all faults of a model are told together.
"""

import json
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Model = TypeVar("Model", bound=BaseModel)


class Frozen(BaseModel):
    """Base of all config models: immutable, strict types, unknown fields refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def one_line(text: str) -> str:
    """A text of another's on one line, without the codes that steer a terminal."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


class Fault(NamedTuple):
    """One fault of a config: where in it, and the rule with value and remedy."""

    place: tuple[str | int, ...]
    message: str


def parse(model: type[Model], data: Any) -> Model | list[Fault]:
    """Validate plain data against a model; give all faults instead of raising."""
    try:
        # By way of JSON: there strict means that a list is a tuple and "1" is no number.
        return model.model_validate_json(json.dumps(_with_text_keys(data), default=str))
    except ValidationError as error:
        faults = [_describe(detail, model) for detail in error.errors()]
        return list(dict.fromkeys(_most_telling(faults)))
    except RecursionError:
        return [Fault((), "is nested too deeply; make it plain")]


def _with_text_keys(data: Any) -> Any:
    """YAML has keys of other types; as texts they are unknown fields like others."""
    if isinstance(data, dict):
        return {str(key): _with_text_keys(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_with_text_keys(value) for value in data]
    return data


def _most_telling(faults: list[Fault]) -> list[Fault]:
    """A value that fits no branch of a union is one fault a branch: keep the deepest."""
    return [
        fault
        for fault in faults
        if not any(
            len(other.place) > len(fault.place) and other.place[: len(fault.place)] == fault.place
            for other in faults
        )
    ]


def house_rule(place: tuple[str | int, ...], message: str) -> PydanticCustomError:
    """Fault that a validator of ours raises, at a place within its model."""
    return PydanticCustomError(
        "house_rule", "{message}", {"message": message, "place": list(place)}
    )


def _describe(detail: ErrorDetails, model: type[BaseModel]) -> Fault:
    """Put one fault that pydantic found into the house's words."""
    context = detail.get("ctx", {})
    place = (*filter(_is_users_word, detail["loc"]), *context.get("place", ()))
    value = detail["input"]
    match detail["type"]:
        case "house_rule":
            message = str(context["message"])
        case "literal_error":
            names = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            message = f"{value!r} is not one of {', '.join(names)}{did_you_mean(value, names)}"
        case "extra_forbidden":
            return unknown_field(place, fields_at(model, place[:-1]))
        case "missing":
            message = "is required and not given"
        case _ if value is None:
            message = "is empty; give a value or leave the field out"
        case "too_short":
            message = "is an empty list; give at least one value"
        case "string_pattern_mismatch":
            message = f"{value!r} has other signs than letters, digits, . _ -; rename it"
        case "greater_than" | "greater_than_equal":
            message = f"{value!r} is not {_relation(detail)}; raise it"
        case "less_than" | "less_than_equal":
            message = f"{value!r} is not {_relation(detail)}; lower it"
        case "bool_type" | "int_type" | "int_from_float" | "float_type" | "string_type":
            kinds = {"bool": "true or false", "int": "a whole number", "float": "a number"}
            kind = kinds.get(detail["type"].split("_")[0], "a text")
            message = f"{value!r} is not {kind}"
        case "tuple_type" | "list_type":
            message = f"{value!r} is not a list; write [{value}]"
        case "dict_type" | "model_type" | "model_attributes_type":
            message = f"{value!r} is not a mapping of fields"
        case _:
            message = f"{value!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
    return Fault(place, message)


def _relation(detail: ErrorDetails) -> str:
    """`above 0` or `at least 1`, from pydantic's bound."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    ((name, bound),) = ((name, bound) for name, bound in detail["ctx"].items() if name in words)
    return f"{words[name]} {bound:g}"


def _is_users_word(part: int | str) -> bool:
    """pydantic puts the branches of a union and its validators into the place as well."""
    return isinstance(part, int) or not (
        part in ("float", "tuple", "list", "int", "str")
        or part.startswith(("constrained-", "function-", "tuple["))
    )


def unknown_field(place: tuple[str | int, ...], known: list[str]) -> Fault:
    """Fault of a field that does not exist, with the nearest one that does."""
    nearest = did_you_mean(place[-1], known) or f"; the fields are {', '.join(known)}"
    return Fault(place, f"unknown field{nearest}")


def fields_at(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    """Names of the fields of the model that lies at a place within a model."""
    for part in place:
        field = model.model_fields.get(str(part))
        for candidate in getattr(
            field and field.annotation, "__args__", (field and field.annotation,)
        ):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)


def did_you_mean(value: object, names: list[str]) -> str:
    """Clause that names the nearest valid name, or nothing if none is near."""
    near = get_close_matches(str(value), names, n=1, cutoff=0.5) or get_close_matches(
        str(value).upper(), names, n=1, cutoff=0.5
    )
    return f"; did you mean {near[0]}?" if near else ""
