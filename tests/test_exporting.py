"""`inrc export`: models in ONNX that show what the decoder shows, and folders that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import inrcodec
from inrcodec.exporting.manifest import OPSET
from inrcodec.exporting.player import Player
from inrcodec.settings import ExportSettings

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.inrv") if not path.stem.startswith("inrc"))


@pytest.mark.parametrize("name", NAMES)
def test_models_show_what_the_decoder_shows(name: str, tmp_path: Path) -> None:
    source, folder = GOLDEN / f"{name}.inrv", tmp_path / "out"
    result = inrcodec.export(str(source), str(folder), ExportSettings(check="all"))
    with inrcodec.open(source, "cpu", "float32") as video:
        expected = video[:].astype(int)
    player = Player(folder)
    # Backwards, so that no frame finds what it needs made already.
    for index in reversed(range(len(expected))):
        assert np.abs(player[index] - expected[index]).max() <= 1
    assert (result.checked_frames, len(player)) == (len(expected), len(expected))
    for path in folder.glob("*.onnx"):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert [one.version for one in model.opset_import if not one.domain] == [OPSET]
        inputs = [*model.graph.input, *model.graph.output]
        shapes = [[one.dim_value for one in value.type.tensor_type.shape.dim] for value in inputs]
        assert all(shape[0] == 1 and min(shape) > 0 for shape in shapes)
