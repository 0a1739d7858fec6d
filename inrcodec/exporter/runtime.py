"""onnxruntime-web, which the page runs models with: from a folder, or its pinned package through npm."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from inrcodec.errors import InrcError, UsageError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package's file, base64, as npm's own lock files have it."""
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""One build for processors, and one for WebGPU; a page loads one of them."""
_LONGEST_SECONDS = 600.0


def check_runtime(folder: str | None) -> None:
    """Raise `UsageError` where there is nowhere to take the runtime from."""
    if folder is not None:
        _dist_of(folder)
    elif shutil.which("npm") is None:
        raise UsageError(
            f"--web needs {PACKAGE}: install npm, which brings it, or name an unpacked one: --runtime FOLDER"
        )


def copy_runtime(folder: str | None, target: Path) -> None:
    """The runtime's files into the new folder `target`: from `folder` or, where that is None, through npm.

    Raises `UsageError`, `InrcError` where npm brings nothing or something else, and `OSError`.
    """
    check_runtime(folder)
    target.mkdir()
    if folder is not None:
        dist = _dist_of(folder)
        for name in FILES:
            shutil.copyfile(dist / name, target / name)
        return
    with tempfile.TemporaryDirectory() as temporary:
        unpack_runtime(_packed(Path(temporary)), target)


def unpack_runtime(package: Path, target: Path) -> None:
    """The runtime's files out of its package, which must be the one that is pinned; raises `InrcError`."""
    found = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if found != SHA512:
        raise InrcError(
            f"{package.name} is not the {PACKAGE} {VERSION} that is pinned: its sha512 is {found}"
        )
    with tarfile.open(package) as archive:
        for name in FILES:
            file = archive.extractfile(f"package/dist/{name}")
            if file is None:
                raise InrcError(f"{package.name} holds no file {name}")
            with file, open(target / name, "wb") as copy:
                shutil.copyfileobj(file, copy)


def _dist_of(folder: str) -> Path:
    """Where the files lie in an unpacked package, or in its dist; raises `UsageError`."""
    for place in (Path(folder), Path(folder) / "dist", Path(folder) / "package" / "dist"):
        if all((place / name).is_file() for name in FILES):
            return place
    raise UsageError(f"--runtime: {folder} is no {PACKAGE} {VERSION}: it has no {FILES[0]} and the like")


def _packed(folder: Path) -> Path:
    """The package's file, downloaded into `folder`; raises `InrcError`."""
    command = [
        shutil.which("npm") or "npm",
        "pack",
        f"{PACKAGE}@{VERSION}",
        "--silent",
        "--pack-destination",
        str(folder),
    ]
    advice = "give an unpacked one by --runtime FOLDER"
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_LONGEST_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InrcError(f"npm brought no {PACKAGE}: {error}; {advice}") from error
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or not packages:
        said = done.stderr.decode(errors="replace").split("\n")
        reason = next((line.strip() for line in said if line.strip()), f"exit code {done.returncode}")
        raise InrcError(f"npm brought no {PACKAGE} {VERSION}: {reason}; {advice}")
    return packages[0]
