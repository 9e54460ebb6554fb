"""Conversion of dataclasses to bytes and back: tensors, numbers, fractions, texts and None."""

from __future__ import annotations

import json
import struct
from dataclasses import fields
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from dreamvid.travel import to_host

Record = TypeVar("Record")

_LENGTH = struct.Struct("<I")
_TENSOR = "tensor"
_FRACTION = "fraction"
_COMPLEX = "complex"


def to_bytes(record: Any) -> bytes:
    """The bytes of all fields of a dataclass, tensors bit by bit.

    Raises TypeError for a field of another kind than those named above.
    """
    facts: dict[str, Any] = {}
    contents: list[bytes] = []
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            array = to_host(value.detach().contiguous()).numpy()
            facts[field.name] = {_TENSOR: [array.dtype.str, list(array.shape)]}
            contents.append(array.tobytes())
        elif isinstance(value, Fraction):
            facts[field.name] = {_FRACTION: str(value)}
        elif isinstance(value, complex):
            facts[field.name] = {_COMPLEX: [value.real, value.imag]}
        elif value is None or isinstance(value, bool | int | float | str):
            facts[field.name] = value
        else:
            raise TypeError(f"{field.name} is a {type(value).__name__}, which cannot be kept")
    head = json.dumps(facts).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *contents])


def from_bytes(kind: type[Record], data: bytes, device: torch.device | str = "cpu") -> Record:
    """The dataclass of type `kind` from the bytes of `to_bytes`, its tensors on `device`.

    Raises ValueError where `data` holds no `kind`.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        offset = _LENGTH.size + length
        values = json.loads(data[_LENGTH.size : offset])
        for name, value in values.items():
            if isinstance(value, dict) and _FRACTION in value:
                values[name] = Fraction(value[_FRACTION])
            elif isinstance(value, dict) and _COMPLEX in value:
                values[name] = complex(*value[_COMPLEX])
            elif isinstance(value, dict):
                dtype, shape = value[_TENSOR]
                array = np.frombuffer(data, dtype, int(np.prod(shape)), offset)
                offset += array.nbytes
                values[name] = torch.from_numpy(array.reshape(shape).copy()).to(device)
        return kind(**values)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no {kind.__name__}: {error}") from None
