"""The disposable child that turns one schema into Python models: `python -I` runs this file.

A schema comes from outside, and the generator is a large library, so nothing is trusted once the
schema is read:

1. the library is loaded and used once on a schema of ours, so that all it needs is in memory;
2. limits are set: 2 seconds of CPU, 256 MiB of data, not one byte into a file;
3. a hook refuses sockets, processes and every file but the interpreter's own, to read;
4. only then is the schema read from standard input, and the models written to standard output;
5. the result may import only from the few modules below and call nothing of the builtins.

Exit code 0 with the models; 3 with a sentence when the schema has none.
"""

import ast
import builtins
import json
import os
import resource
import sys
import warnings
from typing import Any, Final

from datamodel_code_generator import generate
from datamodel_code_generator.enums import DataModelType, InputFileType
from datamodel_code_generator.format import Formatter, PythonVersion

CPU_SECONDS: Final = 2
MEMORY_BYTES: Final = 256 * 1024 * 1024
MAX_CODE: Final = 2 * 1024 * 1024
REFUSED: Final = 3
IMPORTS: Final = frozenset(
    {
        "__future__", "collections.abc", "datetime", "decimal", "enum", "ipaddress", "pathlib",
        "pydantic", "re", "typing", "typing_extensions", "uuid",
    }
)  # fmt: skip
_HARMLESS: Final = frozenset(
    {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"}
)
_FORBIDDEN_EVENTS: Final = ("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "ftplib.",
                            "http.", "urllib.", "webbrowser.", "pty.", "import.remote")  # fmt: skip


def models_of(document: Any, class_name: str) -> str:
    """Pydantic models of a schema, the outermost named as asked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = generate(
            json.dumps(document),
            input_file_type=InputFileType.JsonSchema,
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_311,
            class_name=class_name,
            disable_timestamp=True,
            custom_file_header="#",
            field_constraints=True,
            use_annotated=True,
            use_schema_description=True,
            use_field_description=True,
            use_double_quotes=True,
            # EmailStr would ask producers for one more package; AnyUrl would write a slash more.
            type_mappings=[f"string+{name}=string" for name in ("email", "idn-email", "uri")],
            allow_remote_refs=False,
            formatters=[Formatter.BUILTIN],
        )
    if not isinstance(code, str):
        raise TypeError("the schema makes several modules")
    return code


def check(code: str) -> None:
    """Refuse code that does more than declare models: its texts came out of a stranger's schema."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            if node.level or node.module not in IMPORTS:
                raise ValueError("it would import another module")
        elif isinstance(node, ast.Import):
            if any(name.name not in IMPORTS for name in node.names):
                raise ValueError("it would import another module")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in vars(builtins) and node.func.id not in _HARMLESS:
                raise ValueError("it would call a builtin")
        elif isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            raise ValueError("it would reach inside an object")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Await):
            raise TypeError("it would define a function")


def lock() -> None:
    """Limits and the hook; from here on nothing outside this process can be reached."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_SECONDS, spent + CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ours = tuple(os.path.realpath(path) + os.sep for path in {sys.prefix, sys.base_prefix})

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = (*arguments, None, None, 0)[:3]
            writes = bool(flags and flags & (os.O_WRONLY | os.O_RDWR)) or "w" in (mode or "")
            if isinstance(path, int):
                return
            if writes or not os.path.realpath(os.fsdecode(path)).startswith(ours):
                raise PermissionError("no file may be opened")
        elif event.startswith(_FORBIDDEN_EVENTS) and event != "os.listdir":
            raise PermissionError(f"{event} is not allowed here")

    sys.addaudithook(refuse)


def main() -> int:
    """Read `{schema, class_name}`, write the models; 0, or REFUSED with why on standard error."""
    models_of({"type": "object", "properties": {"a": {"enum": ["b"]}}}, "Warm")
    lock()
    asked = json.loads(sys.stdin.buffer.read())
    try:
        code = models_of(asked["schema"], asked["class_name"])
        check(code)
    # The border of the process: whatever the library raises about a schema means that it has none.
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(f"{type(error).__name__}: {error}"[:500])
        return REFUSED
    if len(code) > MAX_CODE:
        sys.stderr.write("the models are too large")
        return REFUSED
    sys.stdout.buffer.write(code.encode())
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
