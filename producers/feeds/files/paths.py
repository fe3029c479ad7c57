"""From command-line arguments to files: files, folders and globs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from optionstream.schemas.errors import InputError
from optionstream.schemas.files.audit_manifest import MANIFEST, is_manifest

_HEAD_BYTES = 512
_DIGITS = re.compile(r"(\d+)")

NaturalKey = tuple[tuple[int, int, str], ...]


def expand_paths(args: Sequence[str]) -> list[Path]:
    """The regular files that ``args`` name, in the order of the arguments.

    A folder gives all its files, its sub-folders' included, in natural order (``2`` before
    ``10``); names that begin with a dot are left out. An audit archive gives its manifest, which
    says in what order its files are read. A glob (``*``, ``?``, ``[…]``, ``**``) gives
    its matches in natural order. Raises InputError for a path that does not exist, a glob without
    a match and a folder without a file.
    """
    return [path for arg in args for path in _expand(arg)]


def natural_key(text: str) -> NaturalKey:
    """Sort key under which the numbers inside ``text`` count as numbers."""
    return tuple(
        (0, int(part), part) if part.isdigit() else (1, 0, part)
        for part in _DIGITS.split(text)
        if part
    )


def _expand(arg: str) -> list[Path]:
    path = Path(arg)
    if path.is_dir():
        return _files_or_error(arg, [path])
    if path.exists():
        return [path]
    if glob.has_magic(arg):
        return _files_or_error(arg, map(Path, glob.glob(arg, recursive=True)))
    raise InputError(arg, "no such file or folder")


def _files_or_error(arg: str, paths: Iterable[Path]) -> list[Path]:
    found = {file for path in paths for file in _files(path)}
    if not found:
        raise InputError(arg, "no files there")
    return sorted(found, key=_path_key)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        if MANIFEST in names and _is_archive(Path(folder, MANIFEST)):
            folders.clear()
            yield Path(folder, MANIFEST)
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                yield file


def _is_archive(manifest: Path) -> bool:
    try:
        with manifest.open("rb") as file:
            return is_manifest(file.read(_HEAD_BYTES))
    except OSError:
        return False  # whoever reads it says why it cannot be read


def _path_key(path: Path) -> list[NaturalKey]:
    return [natural_key(part) for part in path.parts]
