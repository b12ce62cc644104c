"""Modules of the package import downwards, functions' imports included: no two need each other."""
import ast
import graphlib
from pathlib import Path

import pytest

import lumina_kernel as lk

ROOT = Path(lk.__file__).parent
COMPILED = "lumina_kernel._core"


def modules(root):
    """Name -> file; a package's name is that of its folder."""
    for file in sorted(root.rglob("*.py")):
        parts = (root.name, *file.relative_to(root).with_suffix("").parts)
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def imported(node, module, is_package):
    """What an import statement names, and below that what it may name: attributes or modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    package = module.split(".") if is_package else module.split(".")[:-1]
    base = package[: len(package) - node.level + 1] if node.level else []
    base = ".".join([*base, *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" for alias in node.names]


def known(name, files):
    """The module that has the name, or in which it is one."""
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name


def import_graph(root):
    files = dict(modules(root))
    graph = {}
    for module, file in files.items():
        names = [
            name
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            for name in imported(node, module, file.name == "__init__.py")
        ]
        graph[module] = {known(name, {*files, COMPILED}) for name in names} - {"", module}
    return graph


def test_the_package_has_no_import_circle():
    graph = import_graph(ROOT)
    assert "lumina_kernel.nn.native" in graph["lumina_kernel.nn.selection"]  # in a function
    graphlib.TopologicalSorter(graph).prepare()


def test_circles_are_found(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    (package / "__init__.py").write_text("from .a import x\n")
    (package / "a.py").write_text("def f():\n    from . import b\n")
    (package / "b.py").write_text("import os\nfrom .a import f\n")
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(import_graph(package)).prepare()
