r"""Trees of tensors and plain data in a file. Reading one runs nothing: there are bytes, and a table of what they are.

    "mtrl tree 1\n" | length of the table, 8 bytes | table, JSON | zeros up to a multiple of 64
    | tensors, each followed by zeros up to a multiple of 64 | CRC-32 of all before, 4 bytes

Numbers are little-endian. The table holds `about`, the tree, and a dtype and a shape for each tensor. In the tree,
None, truth values, numbers, texts and lists are themselves; all else is a mapping with one key, which says what it is.
"""

import json
import math
import os
import re
import stat
import sys
import zlib
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtrl.runs.devices import memory

Tree = Any
"""Nested mappings, lists and tuples of tensors, arrays, numbers, texts, truth values and None."""

_MAGIC = b"mtrl tree 1\n"
_NEWER = re.compile(rb"mtrl tree ([2-9]|[1-9]\d+)\n")
_ALIGNED = 64
_BLOCK = 1 << 22  # the checksum is taken while the block is in the processor's cache
_LENGTHS = 8, 4  # of the table's length and of the checksum, in bytes
_TORCH = {
    name: getattr(torch, name)
    for name in (
        *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
        *("bfloat16", "float16", "float32", "float64"),
    )
}
_NUMPY = {name: np.dtype(name) for name in _TORCH if name != "bfloat16"}


class NewerError(ValueError):
    """A file's first line is that of a later format."""


class Saved(NamedTuple):
    """The tree in a file, and what was said of it."""

    about: dict[str, Any]
    """What was said of the tree: plain JSON values."""
    tree: Tree
    """On the CPU. A named tuple comes back as a tuple, any mapping as a `dict`, a number of numpy as its array."""


def write_tree(file: BinaryIO, about: Mapping[str, Any], tree: Tree) -> None:
    """Writes a tree as the module says.

    Args:
        file: to write to, from where it stands.
        about: plain JSON values, said of the tree.
        tree: of what `Tree` says.

    Raises:
        TypeError: something else is in the tree.
    """
    assert sys.byteorder == "little"
    blocks: list[memoryview] = []
    entries: list[dict[str, Any]] = []
    encoded = _encoded(tree, entries, blocks)
    table = json.dumps({"about": about, "tree": encoded, "tensors": entries}).encode()
    crc = 0
    head = _MAGIC + len(table).to_bytes(_LENGTHS[0], "little")
    for part in (memoryview(head + table), *blocks):
        for start in range(0, len(part), _BLOCK):
            file.write(block := part[start : start + _BLOCK])
            crc = zlib.crc32(block, crc)
        file.write(rest := bytes(-len(part) % _ALIGNED))
        crc = zlib.crc32(rest, crc)
    file.write(crc.to_bytes(_LENGTHS[1], "little"))


def read_tree(path: Path) -> Saved:
    """The tree in a file.

    Raises:
        OSError: it cannot be read.
        NewerError: it is of a later format.
        ValueError: it is none, cut short, or not what was written; why, in a line.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        head = file.read(len(_MAGIC) + _LENGTHS[0])
        if newer := _NEWER.match(head):
            raise NewerError(f"its format is {int(newer[1])}, the newest here 1")
        if not head.startswith(_MAGIC):
            raise ValueError("not a file of this version")
        length = int.from_bytes(head[len(_MAGIC) :], "little")
        if status.st_size > memory():
            raise ValueError(f"larger than this machine's memory: {status.st_size:,} bytes")
        if length > status.st_size:
            raise ValueError("cut short, or its first bytes are not what was written")
        text = file.read(length)
        crc = zlib.crc32(head + text + file.read(-file.tell() % _ALIGNED))
        try:
            about, encoded, entries = _table(text, status.st_size - file.tell() - _LENGTHS[1])
        except (UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise ValueError("its table cannot be read") from error
        values = []
        for entry in entries:
            values.append(_empty(entry))
            crc = _fill(file, values[-1], crc)
        if file.read(_LENGTHS[1]) != crc.to_bytes(_LENGTHS[1], "little"):
            raise ValueError("its checksum is not that of its content")
    try:
        return Saved(about, _decoded(encoded, values))
    except (IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("its table cannot be read") from error


def read_about(path: Path) -> dict[str, Any]:
    """What was said of the tree in a file, without the tree; its checksum is not looked at.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none, or cut short.
    """
    with path.open("rb") as file:
        head = file.read(len(_MAGIC) + _LENGTHS[0])
        length = int.from_bytes(head[len(_MAGIC) :], "little")
        if not head.startswith(_MAGIC) or length > path.stat().st_size:
            raise ValueError("not a file of this version, or cut short")
        try:
            return dict(json.loads(file.read(length))["about"])
        except (UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
            raise ValueError("its table cannot be read") from error


def _table(text: bytes, size: int) -> tuple[dict[str, Any], Any, list[Any]]:
    """The table, if its tensors have the size of what follows it."""
    table = json.loads(text)
    about, entries = dict(table["about"]), list(table["tensors"])
    expected = sum(_size(entry) + -_size(entry) % _ALIGNED for entry in entries)
    if expected != size:
        raise ValueError(f"cut short or too long: {size:,} bytes of tensors, {expected:,} by its table")
    return about, table["tree"], entries


def _size(entry: Mapping[str, Any]) -> int:
    """How many bytes a tensor of the table has."""
    shape = entry["shape"]
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("its table cannot be read")
    return math.prod(shape) * _TORCH[entry["dtype"]].itemsize


def _empty(entry: Mapping[str, Any]) -> Tensor | np.ndarray:
    if entry.get("array"):
        return np.empty(entry["shape"], _NUMPY[entry["dtype"]])
    return torch.empty(entry["shape"], dtype=_TORCH[entry["dtype"]])


def _fill(file: BufferedReader, value: Tensor | np.ndarray, crc: int) -> int:
    """Reads the bytes of a tensor; the checksum goes on."""
    content = _bytes(value)
    for start in range(0, len(content), _BLOCK):
        block = content[start : start + _BLOCK]
        file.readinto(block)
        crc = zlib.crc32(block, crc)
    return zlib.crc32(file.read(-len(content) % _ALIGNED), crc)


def _bytes(value: Tensor | np.ndarray) -> memoryview:
    """The memory of a tensor or an array, or of a contiguous copy on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data


def _encoded(tree: Tree, entries: list[dict[str, Any]], blocks: list[memoryview]) -> Any:
    """The tree for the table; its tensors are added to the two lists."""
    if tree is None or isinstance(tree, str) or type(tree) in (bool, int, float):
        return tree
    if isinstance(tree, np.generic):
        tree = np.asarray(tree)
    if isinstance(tree, Tensor | np.ndarray):
        entry: dict[str, Any] = {"dtype": str(tree.dtype).removeprefix("torch."), "shape": list(tree.shape)}
        if entry["dtype"] not in (_TORCH if isinstance(tree, Tensor) else _NUMPY):
            raise TypeError(f"a {entry['dtype']} cannot be saved")
        entries.append(entry if isinstance(tree, Tensor) else entry | {"array": True})
        blocks.append(_bytes(tree))
        return {"tensor": len(entries) - 1}
    if isinstance(tree, Mapping):
        return {"mapping": [[_key(k), _encoded(v, entries, blocks)] for k, v in tree.items()]}
    if isinstance(tree, list | tuple):
        items = [_encoded(item, entries, blocks) for item in tree]
        return items if isinstance(tree, list) else {"tuple": items}
    raise TypeError(f"a {type(tree).__name__} cannot be saved")


def _key(key: object) -> object:
    if type(key) not in (str, int):
        raise TypeError(f"a mapping's key of the type {type(key).__name__} cannot be saved")
    return key


def _decoded(encoded: Any, values: list[Tensor | np.ndarray]) -> Tree:
    if isinstance(encoded, list):
        return [_decoded(item, values) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ((kind, content),) = encoded.items()
    if kind == "tensor":
        return values[content]
    if kind == "tuple":
        return tuple(_decoded(item, values) for item in content)
    if kind == "mapping":
        return {key: _decoded(value, values) for key, value in content}
    raise KeyError(kind)
