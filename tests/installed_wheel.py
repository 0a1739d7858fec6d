"""Builds an sdist, a wheel from it, and runs the tests of the sdist on the installed wheel: `make wheel`.

The environment is new and has the wheel, its dependencies and what runs tests, so a dependency that is not
declared is missed. The sources are removed from the unpacked sdist, so a file that the wheel lacks is, too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("inrcodec", "bitstream")
RUNNERS = ("pytest", "hypothesis")
"""Everything that the chosen tests need besides the wheel."""
TESTS = (
    *(f"tests/{room}" for room in ("coding", "decoder", "settings", "system")),
    *("tests/bitstream/test_bitstream_golden.py", "tests/models/test_models_families.py"),
    *("tests/test_golden_families.py", "tests/test_public_face.py", "tests/test_samples.py"),
)
MARKS = "not slow and not end_to_end"


def run(*words: str | Path, folder: Path, **variables: str) -> None:
    """Print a command and run it in `folder`; exit if it fails."""
    print(f"$ {' '.join(map(str, words))}", flush=True)
    # The environment of this checkout would hide what is missing.
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    code = subprocess.run(
        [str(word) for word in words], cwd=folder, env={**inherited, **variables}
    ).returncode
    if code:
        raise SystemExit(code)


def built(output: Path, work: Path) -> tuple[Path, Path]:
    """Build the sdist into `output`, unpack it in `work`, and build the wheel from there.

    Returns the wheel and the unpacked sdist.
    """
    build = (sys.executable, "-m", "hatchling", "build", "--directory")
    run(*build, output, "--target", "sdist", folder=ROOT)
    (archive,) = output.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(work, filter="data")
    unpacked = work / archive.name.removesuffix(".tar.gz")
    run(*build, output, "--target", "wheel", folder=unpacked)
    (wheel,) = output.glob("*.whl")
    return wheel, unpacked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="makes the environment of the tests")
    options = parser.parse_args()
    output = ROOT / "dist"
    shutil.rmtree(output, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        wheel, unpacked = built(output, work)
        for package in PACKAGES:
            shutil.rmtree(unpacked / package)
        run(options.python, "-m", "venv", work / "venv", folder=work)
        scripts = work / "venv" / ("Scripts" if os.name == "nt" else "bin")
        install = ("-m", "pip", "install", "--quiet", "--constraint", unpacked / "constraints.txt")
        run(scripts / "python", *install, wheel, *RUNNERS, folder=work)
        run(
            *(scripts / "python", "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-m", MARKS, *TESTS),
            folder=unpacked,
            OMP_NUM_THREADS="1",
        )
        clip = unpacked / "samples" / "source.mp4"
        part = ("--frames", "0:4", "--scale", "48x27", "--size", "4k", "--epochs", "1", "--device", "cpu")
        run(scripts / "inrc", "encode", clip, "-o", "out.inrv", *part, folder=work)
        run(scripts / "inrc", "verify", "out.inrv", folder=work)
        run(scripts / "inrc", "decode", "out.inrv", "-o", "out.mp4", folder=work)
    for path in sorted(output.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
