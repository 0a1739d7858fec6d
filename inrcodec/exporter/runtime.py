"""Obtains onnxruntime-web, which runs the page's models: from a folder, or its pinned package through npm."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from inrcodec.errors import InrcError, UsageError
from inrcodec.system.names import StrPath

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""SHA-512 of the package's file in base64, as in npm's lock files."""
FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""One build for WebAssembly and one for WebGPU; a page loads one of them."""
_LONGEST_SECONDS = 600.0


def check_runtime(folder: StrPath | None) -> None:
    """Raise `UsageError` unless `folder` contains the runtime or, for None, npm is installed."""
    if folder is not None:
        _dist_of(folder)
    elif shutil.which("npm") is None:
        raise UsageError(
            f"--web needs {PACKAGE}: install npm to download it, or name an unpacked one: --runtime FOLDER"
        )


def copy_runtime(folder: StrPath | None, target: Path) -> None:
    """Copy the runtime's files into the new folder `target`, from `folder` or, for None, through npm.

    Raises `UsageError`, `InrcError` if npm brings nothing or another package, and `OSError`.
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
    """Unpack the runtime's files from its package, which must be the pinned one; raises `InrcError`."""
    found = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if found != SHA512:
        raise InrcError(f"{package.name} is not the pinned {PACKAGE} {VERSION}: its sha512 is {found}")
    with tarfile.open(package) as archive:
        for name in FILES:
            file = archive.extractfile(f"package/dist/{name}")
            if file is None:
                raise InrcError(f"{package.name} contains no file {name}")
            with file, open(target / name, "wb") as copy:
                shutil.copyfileobj(file, copy)


def runtime_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each WebAssembly file in `folder`, hexadecimal. Raises `OSError`."""
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in FILES
        if name.endswith(".wasm")
    }


def _dist_of(folder: StrPath) -> Path:
    """Folder of the runtime's files in an unpacked package or its dist; raises `UsageError`."""
    for place in (Path(folder), Path(folder) / "dist", Path(folder) / "package" / "dist"):
        if all((place / name).is_file() for name in FILES):
            return place
    raise UsageError(f"--runtime: {folder} is not {PACKAGE} {VERSION}: files such as {FILES[0]} are missing")


def _packed(folder: Path) -> Path:
    """Download the package's file into `folder`; raises `InrcError`."""
    command = [
        shutil.which("npm") or "npm",
        "pack",
        f"{PACKAGE}@{VERSION}",
        "--silent",
        "--pack-destination",
        str(folder),
    ]
    advice = "give an unpacked package with --runtime FOLDER"
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_LONGEST_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InrcError(f"npm could not download {PACKAGE}: {error}; {advice}") from error
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or not packages:
        said = done.stderr.decode(errors="replace").split("\n")
        reason = next((line.strip() for line in said if line.strip()), f"exit code {done.returncode}")
        raise InrcError(f"npm could not download {PACKAGE} {VERSION}: {reason}; {advice}")
    return packages[0]
