"""The documentation is true: commands parse, links resolve, and sections and counts match the code."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields, replace
from typing import Any

import click
import pytest
from command_line import context_of
from documented_commands import FENCE, PAGES, ROOT, documented_lines, shell_lines

from benchmarks.authors.networks import BUNNY, FAMILIES, PUBLISHED, parameter_count
from benchmarks.scaling import GPUS, SPEED_UPS, busy_gpus, hours
from inrcodec.cli.main import commands
from inrcodec.errors import UsageError
from inrcodec.models.family import Role, TensorSpec, VideoInfo
from inrcodec.models.hnerv import HNeRVConfig
from inrcodec.models.registry import FAMILIES as REGISTERED
from inrcodec.models.registry import family_by_name, family_of
from inrcodec.settings.decode import DecodeSettings
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import parse_model_options
from inrcodec.settings.presets import PRESETS

PAGE = pytest.mark.parametrize("page", PAGES)
FAMILY = pytest.mark.parametrize("name", [family.name for family in REGISTERED])
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
OURS = re.compile(r"`((?:inrcodec|bitstream|benchmarks|tests|docs)/[^`\s]*)`")
OPTION = re.compile(r"`(--[a-z-]+)")


INRC = [pytest.param(list(line.words), id=name) for name, line in documented_lines().items()]


@pytest.mark.parametrize("words", INRC)
def test_commands_are_valid(words: list[str]) -> None:
    context = context_of(words[0], words[1:])
    given = context.params
    if context.info_name == "decode":
        DecodeSettings(**{one.name: given[one.name] for one in fields(DecodeSettings) if one.name in given})
    if context.info_name != "encode":
        return
    known = {one.name for one in fields(EncodeSettings)}
    settings = EncodeSettings(**{key: value for key, value in given.items() if key in known})
    family = family_of(settings)
    family.plan(segment(family.name), 0.06 * BUNNY.pixel_count, settings.model_options, seed=0)
    for source in given["sources"]:
        if "/" in source:
            assert (ROOT / source).is_file()


@pytest.mark.parametrize(
    "words",
    [
        "decode out.inrv -o out.mp4 --fps-scales 2",
        "encode in.mp4",
        "encode in.mp4 -o a.inrv --time soon",
        "encode in.mp4 -o a.inrv --bpp 1 --size 1k",
        "encode in.mp4 -o a.inrv --model nervous",
        "encode in.mp4 -o a.inrv --model nerv --model-option blocks=2",
        "encode in.mp4 -o a.inrv --weight-bits 8",
    ],
)
def test_a_wrong_command_would_be_found(words: str) -> None:
    with pytest.raises((click.UsageError, UsageError)):
        test_commands_are_valid(words.split())


def test_every_page_is_searched_for_commands() -> None:
    pages = {page for page, text in PAGES.items() if any("inrc" in words for words in shell_lines(text))}
    without = {"docs/architecture.md", "docs/cli.md", "docs/python.md", "docs/results.md"}
    assert pages == set(PAGES) - without


@PAGE
def test_modules_that_are_run_exist(page: str) -> None:
    for words in shell_lines(PAGES[page]):
        if words[0] == "python":
            assert words[1] == "-m"
            path = ROOT / words[2].replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@PAGE
def test_options_that_are_named_exist(page: str) -> None:
    known = {
        option
        for command in commands.commands.values()
        for one in command.params
        for option in (*one.opts, *one.secondary_opts)
    }
    foreign = {"--help", "--embed"}  # From click, and from the authors' code.
    assert set(OPTION.findall(PAGES[page])) <= known | foreign


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@PAGE
def test_links_and_paths_lead_somewhere(page: str) -> None:
    for target in LINK.findall(PAGES[page]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = ((ROOT / page).parent / path).resolve()
        assert linked.exists(), target
        if anchor:
            assert anchor in map(slug, re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)), target
    for path in OURS.findall(PAGES[page]):
        assert (ROOT / path).exists(), path


def test_the_index_has_all_pages_and_the_readme_the_index() -> None:
    linked = {target for target in LINK.findall(PAGES["docs/README.md"]) if "/" not in target}
    assert {f"docs/{target}" for target in linked} == set(PAGES) - {"README.md", "docs/README.md"}
    assert "docs/README.md" in LINK.findall(PAGES["README.md"])


@FAMILY
def test_every_family_has_a_page_with_its_options(name: str) -> None:
    text = PAGES[f"docs/{name}.md"]
    video = segment(name)
    with pytest.raises(UsageError) as refused:
        family_by_name(name).plan(video, 1e9, {"?": ""}, seed=0)
    options = str(refused.value).rpartition("it has: ")[2].split(", ")
    assert re.findall(r"^\| `(\w+)=", section(text, "Options"), re.MULTILINE) == options
    # The family accepts the example values in the table.
    examples = parse_model_options(re.findall(r"^\| `(\w+=[^`]+)`", section(text, "Options"), re.MULTILINE))
    family_by_name(name).plan(video, 1e9, examples, seed=0)


def segment(name: str) -> VideoInfo:
    """Bunny, or its first half for a family that needs two segments for it."""
    return replace(BUNNY, frame_count=BUNNY.frame_count // 2) if name == "inrc" else BUNNY


def section(text: str, heading: str) -> str:
    """The text below a second-level heading."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


Row = tuple[re.Pattern[str], str]


def documented_sections(text: str) -> list[Row]:
    """A pattern of names and the shape, as `inrc info` prints it, for each section that a page lists."""
    ((_, block),) = FENCE.findall(section(text, "Transmitted sections"))
    rows = []
    for line in block.splitlines():
        name, *shapes = re.split(r"\s{2,}", line.strip())
        words = re.escape(name).replace(r"\*", ".*").replace(r"\{", "(").replace(r"\}", ")").replace(",", "|")
        layer = words if len(shapes) == 1 else rf"{words}\.(?:weight|levels)"
        rows.append((re.compile(layer), shapes[0]))
        if len(shapes) == 2:
            rows.append((re.compile(rf"{words}\.bias"), shapes[1]))
    return rows


def published_tensors(name: str) -> tuple[TensorSpec, ...]:
    """Tensors of the network that a page lists, made with the option that the page names."""
    text = section(PAGES[f"docs/{name}.md"], "Transmitted sections")
    options = re.search(r"`--model-option (\w+=\w+)`", text)
    assert options is not None
    family = family_by_name(name)
    video = segment(name)
    config: Any = family.plan(video, 1e12, parse_model_options([options[1]]), seed=0)
    return family.tensors(config, video)


@FAMILY
def test_sections_are_those_of_the_family(name: str) -> None:
    rows, used = documented_sections(PAGES[f"docs/{name}.md"]), set()
    order = []
    for spec in published_tensors(name):
        (found,) = [number for number, (names, _) in enumerate(rows) if names.fullmatch(spec.name)]
        assert rows[found][1] == " x ".join(map(str, spec.shape)), spec.name
        used.add(found)
        order.append(found)
    assert used == set(range(len(rows)))
    assert list(dict.fromkeys(order)) == sorted(used)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_are_counted(name: str) -> None:
    """The figures for `HNeRV` include the embeddings, as in its paper."""
    text = section(PAGES[f"docs/{name}.md"], "Published sizes")
    documented = re.findall(r"\| ([\d,]{6,}) \|$", text, re.MULTILINE)
    expected = []
    for config in PUBLISHED[name]:
        embeddings = [one.count for one in FAMILIES[name].tensors(config, BUNNY) if one.per_frame]
        counted = parameter_count(name, config) + (sum(embeddings) if isinstance(config, HNeRVConfig) else 0)
        assert f"| {config.width} |" in text
        expected.append(f"{counted:,}")
    assert documented == expected


def test_the_supermask_has_as_many_values_as_its_page_says() -> None:
    specs = published_tensors("supermask")
    scales = sum(spec.count for spec in specs if spec.role is Role.SCALE)
    text = " ".join(PAGES["docs/supermask.md"].split())
    assert f"{sum(spec.count for spec in specs):,} transmitted values, {scales} of them scales" in text


def test_presets_are_those_of_the_table() -> None:
    paper, others = PRESETS["paper"], [PRESETS[name] for name in ("draft", "fast", "medium", "slow")]
    assert set(PRESETS) == {"paper", "draft", "fast", "medium", "slow"}
    assert paper.minmax is not None
    table = section(PAGES["docs/paper-pipeline.md"], "Options")
    for row in (
        f"| `--epochs`, `--time` | {paper.epochs} epochs | {', '.join(str(one.epochs) for one in others)} |",
        f"| `--learning-rate` | {paper.learning_rate:g} | {others[0].learning_rate:g} "
        f"(`slow` {others[3].learning_rate:g}) |",
        f"| `--optimizer` | `{paper.optimizer}` | `{others[0].optimizer}` |",
        f"| `--batch` | {paper.batch_frames} | {others[0].batch_frames} |",
        f"| `--loss` | `{paper.loss}` | `{others[0].loss}` |",
        f"| `--prune` | {paper.prune:g} | {others[0].prune:g} |",
        f"| `--weight-bits` | {paper.minmax.weight} | |",
        f"| `--embedding-bits` | {paper.minmax.embedding} | |",
    ):
        assert row in table
    assert len({(one.learning_rate, one.batch_frames, one.loss, one.prune) for one in others[:3]}) == 1


def test_every_preset_has_its_row_in_the_index() -> None:
    text = section(PAGES["docs/README.md"], "Choosing a preset")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| [^|]*\|$", text, re.MULTILINE)
    expected = []
    for name, one in PRESETS.items():
        bits = one.minmax
        quantisation = "learned" if bits is None else f"{bits.weight} and {bits.embedding} bits"
        cells = (
            one.epochs,
            f"{one.learning_rate:g}",
            one.optimizer,
            one.batch_frames,
            f"{one.prune:g}",
            quantisation,
        )
        expected.append((name, " | ".join(map(str, cells))))
    assert rows == expected


def test_hours_are_computed_from_what_was_measured() -> None:
    (costs,) = json.loads((ROOT / "benchmarks/results/scaling.json").read_text())["results"]
    text, epochs = PAGES["docs/scaling.md"], PRESETS["medium"].epochs
    for speed_up in SPEED_UPS:
        row = [f"{hours(costs, gpus, speed_up, epochs):.3g}" for gpus in GPUS]
        assert f"| {speed_up} | {' | '.join(row)} | {busy_gpus(costs, speed_up, epochs)} |" in text
    for name, written in (
        ("segment_frames", "| 86 frames"),
        ("segments_an_hour", "1,047 segments"),
        ("step_cpu_seconds", "| 7.8 s |"),
        ("survey_cpu_seconds_a_frame", "| 0.031 s |"),
        ("reading_cpu_seconds_a_frame", "| 0.016 s |"),
        ("shipping_cpu_seconds_a_segment", "| 1.1 s |"),
    ):
        value = re.search(r"[\d.,]+", written)
        assert value is not None and written in text
        assert costs[name] == pytest.approx(float(value[0].replace(",", "")), rel=0.05), name


def test_no_decibels_that_were_not_measured_here() -> None:
    """Only the README and the page generated from benchmarks/results name a PSNR."""
    for page, text in PAGES.items():
        assert page in ("README.md", "docs/results.md") or not re.search(r"\d dB\b", text)


def written_texts() -> list[str]:
    """Every string literal of the code, with a NUL for each formatted value."""
    found = []
    for path in (*ROOT.glob("inrcodec/**/*.py"), *ROOT.glob("bitstream/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (str(one.value) if isinstance(one, ast.Constant) else "\0" for one in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def is_written(message: str, texts: list[str]) -> bool:
    """Whether the code contains `message`: its longest part without placeholders, or all with values."""
    fixed = max(re.split(r"\b[A-Z]+\b%?|\bWxH\b|\.\.\.|\b\d+\b", message), key=len).strip(" ();:,")
    patterns = (
        ".*".join(map(re.escape, text.split("\0"))) for text in texts if len(text.replace("\0", "")) > 10
    )
    return any(fixed in text for text in texts) or any(re.match(one, message) for one in patterns)


def test_messages_of_the_troubleshooting_are_those_of_the_code() -> None:
    cells = re.findall(r"^\| (`.*?`) (?:or .*?)?\|", PAGES["docs/troubleshooting.md"], re.MULTILINE)
    messages = [text.removeprefix("note: ") for cell in cells for text in re.findall(r"`(.*?)`", cell)]
    texts = written_texts()
    assert len(messages) > 20
    assert [message for message in messages if not is_written(message, texts)] == []
    assert not is_written("FILE cannot be found", texts)
    assert not is_written("no disk is left for 5 files", texts)
