"""Nothing in stream/ turns data into code: no pickle, no eval, no unsafe YAML, no shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

STREAM = Path(__file__).parents[1] / "stream"
_MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
}
_BUILTINS = {"eval", "exec", "compile", "__import__"}
_CALLS = {
    "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load",
    "yaml.full_load_all", "os.system", "os.popen", "pandas.read_pickle", "pd.read_pickle",
    "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp",
}  # fmt: skip
_FLAGS = {"shell", "allow_pickle"}
_UNSAFE = (
    "import pickle",
    "from marshal import loads",
    "import shelve as s",
    "eval('1')",
    "exec(text)",
    "__import__(name)",
    "yaml.load(text)",
    "yaml.load(text, Loader=yaml.Loader)",
    "class L(yaml.Loader): pass\nyaml.load_all(text, Loader=L)",
    "yaml.unsafe_load(text)",
    "subprocess.run(command, shell=True)",
    "subprocess.run(command, shell=flag)",
    "np.load(file, allow_pickle=True)",
    "os.system(command)",
)


_SAFE_LOADER = "class L(yaml.SafeLoader): pass\nyaml.load(text, Loader=L)"


def _found(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    safe = {"yaml.SafeLoader", "yaml.CSafeLoader"}
    safe |= {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and safe.intersection(map(ast.unparse, node.bases))
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        yield from (f"line {node.lineno}: {n}" for n in names if n.split(".")[0] in _MODULES)  # type: ignore[attr-defined]  # imports have lines
        if isinstance(node, ast.Call) and _is_unsafe(node, safe):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def _is_unsafe(call: ast.Call, safe: set[str]) -> bool:
    name = ast.unparse(call.func)
    if name in _BUILTINS or name in _CALLS:
        return True
    if name in ("yaml.load", "yaml.load_all"):
        loaders = [ast.unparse(each.value) for each in call.keywords if each.arg == "Loader"]
        return not safe.intersection(loaders)
    flags = [keyword.value for keyword in call.keywords if keyword.arg in _FLAGS]
    return any(not (isinstance(flag, ast.Constant) and flag.value is False) for flag in flags)


def test_nothing_in_the_package_runs_what_it_is_given() -> None:
    files = sorted(STREAM.rglob("*.py"))
    assert len(files) > 100
    found = [f"{file}: {each}" for file in files for each in _found(file.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("source", _UNSAFE)
def test_the_check_sees_what_it_looks_for(source: str) -> None:
    assert list(_found(source))


@pytest.mark.parametrize(
    "source", ["re.compile('x')", "yaml.safe_load(text)", "run(command)", _SAFE_LOADER]
)
def test_the_check_lets_harmless_calls_pass(source: str) -> None:
    assert not list(_found(source))
