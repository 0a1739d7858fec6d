"""The graph of imports between modules, which `test_architecture` checks.

    python tests/imports.py [CHECKOUT]

prints the floors of `inrcodec` and all import cycles, of this checkout or another. A room is `bitstream`, or
a folder or module at the top of `inrcodec`; it stands on a floor above all rooms that it imports.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGES = ("bitstream", "inrcodec")

Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Checkout:
    """The syntax trees of both packages of a checkout."""

    root: Path

    @cached_property
    def modules(self) -> dict[str, Path]:
        """The file of each module, by dotted name."""
        return {
            ".".join(path.relative_to(self.root).with_suffix("").parts).removesuffix(".__init__"): path
            for package in PACKAGES
            for path in sorted((self.root / package).rglob("*.py"))
        }

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The syntax tree of each module, by dotted name."""
        return {module: ast.parse(path.read_text(), str(path)) for module, path in self.modules.items()}

    def imports(self, module: str) -> Iterator[str]:
        """Yield every module that is imported anywhere in the file, including for type checkers only."""
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0 and node.module is not None, f"{module}: imports are absolute"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    yield whole if whole in self.modules else node.module

    @cached_property
    def module_graph(self) -> Graph:
        """Modules of both packages that each module imports, without the lazy package `inrcodec` itself."""
        return {
            module: frozenset(self.imports(module)) & self.modules.keys() - {"inrcodec", module}
            for module in self.modules
            if module != "inrcodec"
        }

    @cached_property
    def room_graph(self) -> Graph:
        """The rooms that each room imports."""
        rooms: dict[str, set[str]] = {}
        for module, imported in self.module_graph.items():
            rooms.setdefault(room_of(module), set()).update(map(room_of, imported))
        return {room: frozenset(others - {room}) for room, others in rooms.items()}

    def closure(self, module: str) -> set[str]:
        """All modules that `module` imports directly or indirectly, and itself."""
        seen: set[str] = set()
        waiting = [module]
        while waiting:
            current = waiting.pop()
            seen.add(current)
            waiting += self.module_graph[current] - seen
        return seen


def room_of(module: str) -> str:
    """`bitstream`, or the folder or module at the top of `inrcodec`."""
    package, _, rest = module.partition(".")
    return package if package == "bitstream" else rest.split(".")[0]


def circles(graph: Graph) -> list[list[str]]:
    """The cycles: sorted nodes that import each other, directly or indirectly."""
    reach: dict[str, set[str]] = {}
    for node in graph:
        seen: set[str] = set()
        waiting = list(graph[node])
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += graph[current]
        reach[node] = seen
    found = {
        tuple(sorted(other for other in graph if other in reach[node] and node in reach[other]))
        for node in graph
        if node in reach[node]
    }
    return [list(one) for one in sorted(found)]


def floors(graph: Graph) -> list[list[str]]:
    """Nodes by height, lowest first; all nodes of a cycle have the same height."""
    circle_of = {node: tuple(one) for one in circles(graph) for node in one}
    heights: dict[str, int] = {}

    def height(node: str) -> int:
        if node not in heights:
            own = circle_of.get(node, (node,))
            below = {other for one in own for other in graph[one]} - set(own)
            heights.update(dict.fromkeys(own, 1 + max(map(height, below), default=-1)))
        return heights[node]

    for node in graph:
        height(node)
    return [
        sorted(node for node in graph if heights[node] == floor) for floor in range(1 + max(heights.values()))
    ]


def main() -> None:
    """Print the floors and cycles of a checkout."""
    checkout = Checkout(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]))
    rows = floors(checkout.room_graph)
    for number, rooms in reversed(list(enumerate(rows, 1))):
        print(f"{number:2}  {'  '.join(rooms)}")
    top = sum(path.parent.name == "inrcodec" for path in checkout.modules.values()) - 1
    print(f"{len(rows)} floors, {len(checkout.room_graph)} rooms, {top} modules at the top of inrcodec/")
    print(f"cycles of modules: {circles(checkout.module_graph) or 'none'}")
    print(f"cycles of rooms: {circles(checkout.room_graph) or 'none'}")


if __name__ == "__main__":
    main()
