"""What may stand in the small files of a run: a stranger's folder is data, so it is checked."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

# Bounds that no run comes near; what lies beyond would upset arithmetic and clocks of a reader.
Count = Annotated[int, Field(ge=0, le=2**53)]
UnixTime = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1e300, le=1e300, allow_inf_nan=False)]
Host = Annotated[str, Field(max_length=255)]

Row = TypeVar("Row", bound=tuple[Any, ...])


def as_row(kind: type[Row], data: Mapping[str, Any]) -> Row | None:
    """The row that plain data are; None where one field is absent or cannot be.

    Fields that this version does not know are left out.

    Args:
        kind: A NamedTuple, its fields annotated by what may stand in them.
        data: As read from JSON.
    """
    known = {name: data[name] for name in kind.__annotations__ if name in data}
    try:
        # By way of JSON: there strict means that a list is a tuple and "1" is no number.
        row: Row = _adapter(kind).validate_json(json.dumps(known), strict=True)
    except (ValidationError, RecursionError):
        return None
    return row


@cache
def _adapter(kind: type[Row]) -> TypeAdapter[Row]:
    return TypeAdapter(kind)
