"""One vocabulary: the field's words in names and prose, and docstrings that say what a caller must know."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import infodil

ROOT = Path(infodil.__file__).parent
PAGES = [ROOT.parent / "README.md", *ROOT.rglob("*.html"), *ROOT.rglob("*.js"), *ROOT.rglob("*.css")]

OLD_WORDS = {
    r"readers?": "probe",
    r"rungs?": "probe",
    r"climb(s|ed|ing)?": "fit the ladder, select",
    r"answered_by": "selected_probe",
    r"doubts?": "prior smoothing",
    r"observers?": "quantizer",
    r"rows_sample|pick_rows": "reservoir, subsample_rows",
    r"trace_beginnings|trace_fit": "trace initialisation, EM",
    r"knows_the_code|stands_alone|most_rows": "requires_superposition, independent_of_base, max_rows",
    r"sandwich_of|read_passage|passages?": "text view",
}
"""Old words, as whole words in names, comments, docstrings and messages, and what stands for them now."""

LEGACY = {"report/saved.py"}
"""Files that read results saved under the old words."""

NOUN_PHRASE = re.compile(r"^(r?\"*)?(Of|Likewise|As in|Goes|Where|Whether it|It|There|So|How far|What comes)\b")
"""Beginnings of a first docstring line that is no noun phrase in the field's words."""

HANGING = re.compile(r"^(Of|Likewise|As in|For|From|So|Not)\b")
"""Beginnings of a parameter's line that only make sense together with the parameter's name."""

FACES = (
    "accumulation",
    "bounds",
    "corpus",
    "depth",
    "encoders",
    "entropy",
    "ladder",
    "lm",
    "measure",
    "mi",
    "plots",
    "precision",
)
FACES = (*FACES, "probes", "processing", "report", "roles", "sources", "statistics", "testing", "traces")


def words_of(name):
    """The words of a name: `FittedLadder` and `fit_ladder` hold `fitted`, `fit` and `ladder`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def test_old_words_are_gone():
    pattern = re.compile(rf"(?<![a-z])({'|'.join(OLD_WORDS)})(?![a-z])")
    found = []
    for path in [*sorted(ROOT.rglob("*.py")), *PAGES]:
        if any(path.match(name) for name in LEGACY):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in pattern.finditer(words_of(line.replace("csv.reader", "csv"))):  # Python's own name
                found.append(f"{path.relative_to(ROOT.parent)}:{number}: {match.group()}")
    assert not found, f"{len(found)} old words:\n" + "\n".join(found)


def public_functions():
    """Functions, classes and their public methods that a face offers, each once."""
    seen = set()
    for face in FACES:
        module = importlib.import_module(f"infodil.{face}")
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            members = [(f"{face}.{name}", thing)]
            if inspect.isclass(thing):
                members += [(f"{face}.{name}.{k}", v) for k, v in vars(thing).items() if not k.startswith("_")]
            for path, member in members:
                member = getattr(member, "__func__", member)
                if (
                    callable(member)
                    and str(getattr(member, "__module__", "")).startswith("infodil")
                    and id(member) not in seen
                ):
                    seen.add(id(member))
                    yield path, member


def sections(docstring):
    """Section name to its lines."""
    parts, name = {}, None
    for line in inspect.cleandoc(docstring).splitlines():
        heading = re.match(
            r"^(Args|Returns|Yields|Raises|Reference|References|Example|Examples|Attributes|Note):$", line
        )
        name = heading.group(1) if heading else name
        if not heading and name:
            parts.setdefault(name, []).append(line)
    return parts


def parameters(docstring):
    """Parameter to the text that describes it."""
    found, last = {}, None
    for line in sections(docstring).get("Args", []) + sections(docstring).get("Attributes", []):
        start = re.match(r"^    (\*{0,2}\w+)( \(.*?\))?: (.*)$", line)
        if start:
            last = start.group(1).lstrip("*")
            found[last] = start.group(3)
        elif last and line.strip():
            found[last] += " " + line.strip()
    return found


PUBLIC = dict(public_functions())


def described(thing):
    """Whether a public function takes arguments that a caller chooses."""
    return inspect.isfunction(thing) and [
        name for name in inspect.signature(thing).parameters if name not in ("self", "cls", "args", "kwargs", "options")
    ]


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_a_public_docstring_says_what_a_caller_must_know(path):
    thing = PUBLIC[path]
    docstring = inspect.getdoc(thing) or ""
    first = docstring.split("\n")[0]
    assert first, f"{path} has no docstring"
    assert first.endswith((".", "?")), f"{path}: the first line must end with a full stop: {first!r}"
    assert not NOUN_PHRASE.match(first), f"{path}: begin with a noun phrase in the field's words: {first!r}"
    lines = parameters(docstring)
    missing = sorted(set(described(thing) or ()) - set(lines)) if path.count(".") == 1 else []
    assert not missing, f"{path} does not describe {missing}"
    hanging = {name: text for name, text in lines.items() if HANGING.match(text)}
    assert not hanging, f"{path}: a parameter's line must be a sentence of its own: {hanging}"
    if inspect.isfunction(thing) and path.count(".") == 1:
        source = inspect.getsource(thing)
        if re.search(r"raise UserError|check_\w+\(", source):
            assert "Raises" in sections(docstring), f"{path} raises errors and does not say so"
        if inspect.signature(thing).return_annotation not in (None, inspect.Signature.empty, "None"):
            assert {"Returns", "Yields"} & set(sections(docstring)), f"{path} does not say what it returns"


@pytest.mark.statistical
def test_no_documented_parameter_hangs():
    """Everywhere, private functions too."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
                for name, line in parameters(text).items():
                    if HANGING.match(line):
                        found.append(f"{path.relative_to(ROOT.parent)}:{node.lineno}: {name}: {line[:60]}")
    assert not found, f"{len(found)} lines:\n" + "\n".join(found)


@pytest.mark.statistical
def test_a_constant_has_one_meaning():
    """No two modules give one constant's name to different things."""
    places = {}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            for target in targets:
                if isinstance(target, ast.Name) and re.fullmatch(r"[A-Z][A-Z0-9_]+", target.id):
                    places.setdefault(target.id, []).append(str(path.relative_to(ROOT)))
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice, f"{len(twice)} names: {twice}"
