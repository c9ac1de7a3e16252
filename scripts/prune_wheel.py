"""A wheel with less in it, that pip installs all the same."""

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path


def prune_wheel(wheel: Path, edit: Callable[[str, bytes], bytes | None]) -> None:
    """Replaces a wheel by one of the same name, version and tags, with a RECORD that fits.

    Args:
        wheel: the file.
        edit: gives the new content of a file inside, by its path and content; None leaves it out.
    """
    smaller = wheel.with_name(wheel.name + ".partial")
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(smaller, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        (own,) = (entry for entry in old.infolist() if entry.filename.endswith(".dist-info/RECORD"))
        for entry in old.infolist():
            if entry.is_dir() or entry is own:
                continue
            content = edit(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(_like(entry), content)
                rows.writerow((entry.filename, _digest(content), len(content)))
        rows.writerow((own.filename, "", ""))
        new.writestr(_like(own), record.getvalue())
    smaller.replace(wheel)


def _digest(content: bytes) -> str:
    """The checksum as a wheel's RECORD has it (PEP 376)."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _like(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Same name, date and permissions."""
    copy = zipfile.ZipInfo(entry.filename, entry.date_time)
    copy.external_attr, copy.compress_type = entry.external_attr, zipfile.ZIP_DEFLATED
    return copy
