"""What no code of the product does: run text as code or as a command, trust markup, use weak hashes."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from governance import keys

ROOT = Path(__file__).resolve().parents[2]
APPS = ("portal", "experiments", "analytics", "quality", "delivery", "ingest", "catalog",
        "governance")  # fmt: skip
MODULES = [path for app in APPS for path in sorted((ROOT / app).rglob("*.py"))]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
# Calls that nobody makes, but for the files named, each with its reason.
FORBIDDEN: dict[str, dict[str, str]] = {
    "eval": {}, "exec": {}, "compile": {}, "__import__": {},
    "os.system": {}, "os.popen": {}, "subprocess.getoutput": {}, "subprocess.getstatusoutput": {},
    "pickle.loads": {}, "pickle.load": {}, "marshal.loads": {}, "shelve.open": {},
    "yaml.load": {}, "yaml.unsafe_load": {}, "yaml.full_load": {},
    "ElementTree.parse": {}, "ElementTree.fromstring": {}, "minidom.parseString": {},
    "Template": {}, "engines": {}, "from_string": {},
    "hashlib.md5": {}, "md5": {}, "hashlib.sha1": {},
    "sha1": {"ingest/log/lives.py": "names a cache entry; usedforsecurity=False"},
    "random.token_bytes": {}, "uuid.uuid1": {}, "uuid1": {},
    "tempfile.mktemp": {}, "postMessage": {},
}  # fmt: skip
# Who uses `random`: to spread waits and loads, and in SPREADERS for examples of contracts by a seed.
# Never for what must not be guessed.
DRAWERS = {
    "ingest/doors/door.py", "ingest/doors/gate.py", "ingest/doors/limits.py",
    "ingest/doors/road.py", "ingest/log/partitions.py", "ingest/log/store.py",
    "portal/http/server.py",
}  # fmt: skip
SPREADERS = (
    "catalog/",
    "portal/soak/",
    "portal/management/commands/soak.py",
    "ingest/synthetic/",
    "portal/demo/",
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node
            elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                yield f"{node.func.value.id}.{node.func.attr}", node


def found(test: Callable[[str, ast.Call], bool]) -> dict[str, list[str]]:
    """Which files make a call that the test is true of."""
    hits: dict[str, list[str]] = {}
    for path in MODULES:
        for name, call in calls(ast.parse(path.read_text())):
            if test(name, call):
                hits.setdefault(name_of(path), []).append(name)
    return hits


def test_no_text_becomes_code_an_object_or_a_weak_hash() -> None:
    allowed = {(name, place) for name, places in FORBIDDEN.items() for place in places}
    hits = found(lambda name, _: name in FORBIDDEN)
    assert {(name, place) for place, names in hits.items() for name in names} == allowed


def test_no_command_goes_through_a_shell() -> None:
    def by_shell(name: str, call: ast.Call) -> bool:
        return any(
            word.arg == "shell" and not (isinstance(word.value, ast.Constant) and not word.value.value)
            for word in call.keywords
        )  # fmt: skip

    assert found(by_shell) == {}


def test_who_draws_by_chance_draws_nothing_that_must_not_be_guessed() -> None:
    users = {
        name_of(path)
        for path in MODULES
        if any(
            (isinstance(node, ast.Import) and any(alias.name == "random" for alias in node.names))
            or (isinstance(node, ast.ImportFrom) and node.module == "random")
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }  # fmt: skip
    assert {place for place in users if not place.startswith(SPREADERS)} == DRAWERS


def test_markup_is_trusted_only_where_it_is_a_constant() -> None:
    def trusts(name: str, call: ast.Call) -> bool:
        first = call.args[0] if call.args else None
        return name in {"mark_safe", "SafeString"} and not isinstance(first, ast.Constant)

    assert set(found(trusts)) <= {
        "portal/http/templatetags/portal_ui.py", "portal/http/drawing.py",
        "quality/drawing.py",  # a sum of two that are safe
    }  # fmt: skip


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_no_template_switches_escaping_off_or_holds_script_or_style(path: Path) -> None:
    text = path.read_text()
    for words in ("|safe", "autoescape off", "{% filter", "safeseq", "javascript:", "<style"):
        assert words not in text, words


def test_queries_are_not_made_of_pieces_of_text() -> None:
    """`execute` of an f-string, a sum or a format, unless of constants of the module alone; identifiers
    are composed by psycopg's sql."""

    def is_constant(part: ast.expr) -> bool:
        return isinstance(part, ast.Constant) or (
            isinstance(part, ast.FormattedValue)
            and isinstance(part.value, ast.Name)
            and part.value.id.isupper()
        )

    def glued(name: str, call: ast.Call) -> bool:
        if name.rpartition(".")[2] not in {"execute", "raw", "extra", "RawSQL", "executemany"}:
            return False
        first = call.args[0] if call.args else None
        if isinstance(first, ast.JoinedStr):
            return not all(map(is_constant, first.values))
        return isinstance(first, ast.BinOp) or (
            isinstance(first, ast.Call)
            and isinstance(first.func, ast.Attribute)
            and first.func.attr == "format"
            and isinstance(first.func.value, ast.Constant)
        )

    hits = {place for place in found(glued) if "/migrations/" not in place}
    assert hits == set()


def test_what_is_formatted_is_a_text_of_ours() -> None:
    """`format` of a constant, or of psycopg's sql; else in a module that formats its own tables."""
    own = {
        "catalog/compatibility/engine.py": "sentences of its table of rules",
        "governance/api/policy_findings.py": "addresses that apps register",
        "governance/job_kinds.py": "addresses that apps register",
        "governance/services/policy_runs.py": "addresses that apps register",
        "governance/views_policies.py": "addresses that apps register",
        "ingest/log/partitions.py": "psycopg's sql, held in a variable",
    }
    places = {
        name_of(path)
        for path in MODULES
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"format", "format_map"}
        and not isinstance(node.func.value, ast.Constant)
        and not (isinstance(node.func.value, ast.Call) and "SQL(" in ast.unparse(node.func.value))
    }
    assert places <= set(own)


def test_no_script_of_ours_writes_markup_or_runs_text() -> None:
    for path in sorted((ROOT / "static" / "js").rglob("*.js")):
        text = path.read_text()
        if path.name in ("live.js", "finder.js"):  # parts that the server wrote and escaped
            text = text.replace("panel.innerHTML = await answer.text();", "")
            text = text.replace('swap: "innerHTML"', "")
        for words in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                      "new Function", "postMessage", "__proto__"):  # fmt: skip
            assert words not in text, f"{path.name}: {words}"


def test_no_script_of_ours_looks_anything_up_in_a_plain_object() -> None:
    """A name from outside that is looked up in an object finds what its prototype has: a Map does not."""
    for path in sorted((ROOT / "static" / "js").rglob("*.js")):
        text = path.read_text()
        assert not re.search(r"=\s*\{\}", text), f"{path.name}: an object to be filled"
        for name in re.findall(r"(?:const|let|var) (\w+) = \{", text):
            assert f"{name}[" not in text, f"{path.name}: {name} is looked up by a name"
            assert not re.search(rf"\bin {name}\b", text), f"{path.name}: `in {name}`"
        for words in ("Object.assign(", "prototype", "for (const key in", "structuredClone"):
            assert words not in text, f"{path.name}: {words}"


# Who computes with secrets and digests, by what: the library alone decides how.
CRYPTOGRAPHY = {"cryptography", "jwt", "hashlib", "hmac", "secrets", "ssl"}
OTHERS = {
    "Crypto", "Cryptodome", "OpenSSL", "argon2", "bcrypt", "ecdsa", "gnupg", "itsdangerous", "jose",
    "josepy", "joserfc", "jwcrypto", "libnacl", "nacl", "oscrypto", "passlib", "pyaes", "rsa",
    "simplecrypt", "tink",
}  # fmt: skip


def tops(path: Path) -> set[str]:
    """The first words of what a file imports, at its top or inside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_cryptography_comes_from_known_libraries_alone() -> None:
    used = {name for path in MODULES for name in tops(path)}
    assert not used & OTHERS
    assert used >= CRYPTOGRAPHY, "the list names none that nobody uses"


def test_every_primitive_that_code_takes_stands_in_the_list_of_the_docs() -> None:
    """docs/security.md lists keys, algorithms and certificates; what is imported or called is there."""
    words = {
        "AESGCM": "AES-256-GCM", "Fernet": "Fernet", "Ed25519PrivateKey": "Ed25519",
        "Ed25519PublicKey": "Ed25519", "sha256": "SHA-256", "sha1": "SHA-1", "sha512": "SHA-512",
        "blake2b": "BLAKE2b", "blake2s": "BLAKE2s", "md5": "MD5", "pbkdf2_hmac": "PBKDF2",
        "scrypt": "scrypt", "HKDF": "HKDF", "ChaCha20Poly1305": "ChaCha20-Poly1305", "AESSIV": "AES-SIV",
        "RSAPrivateKey": "RSA", "ec": "ECDSA",
    }  # fmt: skip
    page = (ROOT / "docs" / "security.md").read_text()
    listed = page[page.index("## Keys, algorithms and certificates") :].split("\n## ")[0]
    taken: dict[str, str] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                ("cryptography.", "hashlib")
            ):
                taken |= {alias.name: name_of(path) for alias in node.names}
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "hashlib"
            ):
                taken[node.attr] = name_of(path)
    plain = {
        "InvalidTag",
        "InvalidToken",
        "InvalidSignature",
        "Encoding",
        "PublicFormat",
        "file_digest",
        "new",
    }
    for name, place in taken.items():
        assert name in words or name in plain, f"{place} takes {name}, which no list names"
        assert words.get(name, "") in listed, (
            f"{place} takes {name}, and docs/security.md is silent"
        )


def test_no_key_of_ours_stands_in_the_repository() -> None:
    """A whole key, or a private key in PEM. Tests make theirs when they run."""
    skipped = {".git", ".venv", ".portal", "node_modules", "__pycache__", ".mypy_cache",
               ".ruff_cache", ".pytest_cache", ".hypothesis"}  # fmt: skip
    kept = {".py", ".md", ".yml", ".yaml", ".toml", ".html", ".js", ".json", ".sql", ".example", ""}
    for path in ROOT.rglob("*"):
        parts = set(path.relative_to(ROOT).parts)
        if path.is_dir() or parts & skipped or path.suffix not in kept or path.is_symlink():
            continue
        text = path.read_text("utf-8", "ignore")
        assert "PRIVATE KEY-----\n" not in text, path
        hits = [one[0] for one in keys.PATTERN.finditer(text)]
        # Examples repeat a letter; a real one never does.
        assert all(len(set(one.rpartition("_")[2])) < 4 for one in hits), path
