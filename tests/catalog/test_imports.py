"""Imports of our own schemas: JSON lines and directories. The real corpus has its own command."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.models import SchemaVersion, Stream, StreamAlias
from portal.importing import import_paths
from portal.kernel.actor import SYSTEM


def schema(title: str, **properties: Any) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft-07/schema#",
        "title": title,
        "description": f"What {title} means.",
        "type": "object",
        "properties": {"id": {"type": "string"}, **properties},
        "required": ["id"],
    }


def lines(path: Path) -> Path:
    entries = [
        {
            "subject": "page/Change-Visibility",
            "versions": [
                {"version": "1.0.0", "schema": schema("a"), "examples": [{"id": "1"}]},
                {
                    "version": "2.0.0",
                    "schema": schema("a", n={"type": "integer", "maximum": 2**64}),
                    "examples": [{"id": "2", "n": 5}, {"id": "3"}],
                },
            ],
        },
        {"subject": "single", "versions": [{"version": "1", "schema": schema("b")}]},
    ]
    path.write_text("\n".join(json.dumps(entry) for entry in entries) + "\n")
    return path


def take(*paths: Path, with_events: bool = False) -> dict[str, Any]:
    return import_paths(
        paths, actor=SYSTEM, domain="wiki", with_events=with_events, tell=lambda _: None
    ).as_dict()


@pytest.mark.django_db
def test_lines_are_taken_in_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    path = lines(tmp_path / "streams.jsonl")
    first = take(path)
    assert (first["streams_new"], first["versions_new"], first["refused"]) == (2, 3, [])
    assert StreamAlias.objects.get(alias="page/Change-Visibility").stream.name == (
        "page.change_visibility"
    )
    assert Stream.objects.filter(name="wiki.single").exists()
    assert list(SchemaVersion.objects.order_by("pk").values_list("label", flat=True)) == [
        "1.0.0",
        "2.0.0",
        "1",
    ]
    again = take(path)
    assert (again["streams_new"], again["versions_new"]) == (0, 0)
    assert (again["streams_known"], again["versions_known"]) == (2, 3)


@pytest.mark.django_db
def test_a_directory_of_schemas_is_read_version_by_version(tmp_path: Path) -> None:
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        file = tmp_path / "shop" / "order_placed" / f"{version}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(schema("order", **{f"v{version.replace('.', '_')}": {}})))
    (tmp_path / "shop" / "refund_issued.json").write_text(json.dumps(schema("refund")))
    (tmp_path / "notes.json").write_text("[1]")
    found = take(tmp_path)
    assert (found["streams_new"], found["versions_new"]) == (2, 4)
    labels = SchemaVersion.objects.filter(stream__name="shop.order_placed").order_by("version")
    assert list(labels.values_list("label", flat=True)) == ["1.0.0", "1.9.0", "1.10.0"]
    assert [one["where"] for one in found["refused"]] == ["notes.json"]
    assert "is none of the formats known here" in found["refused"][0]["why"]


@pytest.mark.django_db
def test_what_cannot_be_taken_is_named_and_the_rest_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    good = {"subject": "a/b", "versions": [{"version": "1", "schema": schema("x")}]}
    remote = {"subject": "c/d", "versions": [{"schema": {"$ref": "https://evil.example/x"}}]}
    path.write_text(
        "\n".join(["{nope", json.dumps(good), json.dumps(remote), '{"subject": "…"}', ""])
    )
    found = take(path, tmp_path / "missing")
    assert found["streams_new"] == 1
    assert [refusal["where"] for refusal in found["refused"]] == [
        "mixed.jsonl:1",
        "mixed.jsonl:3",
        "mixed.jsonl:4",
        str(tmp_path / "missing"),
    ]


@pytest.mark.django_db
def test_a_directory_that_holds_lines_is_read_too(tmp_path: Path) -> None:
    lines(tmp_path / "streams.jsonl")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "kept.jsonl").write_text("{nope\n")
    (tmp_path / "refund_issued.json").write_text(json.dumps(schema("refund")))
    found = take(tmp_path)
    assert (found["streams_new"], found["refused"]) == (3, [])


@pytest.mark.django_db
def test_one_schema_file_is_a_stream_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "refund_issued.json"
    path.write_text(json.dumps(schema("refund"), indent=2))
    assert take(path)["refused"] == []
    assert Stream.objects.filter(name="wiki.refund_issued").exists()


@pytest.mark.django_db
def test_a_directory_without_anything_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("nothing here")
    assert take(tmp_path)["refused"] == [
        {"where": str(tmp_path), "why": "holds no .jsonl, .json, .yaml or .yml files"}
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "7",
        '"text"',
        "null",
        '{"subject": 7, "versions": []}',
        '{"subject": "a/b", "versions": {}}',
        '{"subject": "a/b", "versions": ["1"]}',
        '{"subject": "a/b", "versions": [[{"schema": {}}]]}',
        '{"subject": "a/b", "versions": [{"version": "1"}]}',
        '{"subject": "a/b", "versions": [{"schema": {}, "examples": 7}]}',
    ],
)
def test_a_line_of_another_shape_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(f"\n{line}\n")
    assert take(path)["refused"] == [
        {"where": "odd.jsonl:2", "why": "needs subject and versions, each with a schema"}
    ]


@pytest.mark.django_db
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "good").mkdir()
    lines(tmp_path / "good" / "streams.jsonl")
    found = take(tmp_path / "loop.jsonl", tmp_path / ("x" * 300), tmp_path / "good")
    assert found["streams_new"] == 2
    assert [refusal["where"] for refusal in found["refused"]] == [
        str(tmp_path / "loop.jsonl"),
        str(tmp_path / ("x" * 300)),
    ]


@pytest.mark.django_db
def test_another_schema_under_a_known_label_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    found: dict[str, Any] = {}
    for content in (schema("one"), schema("two")):
        entry = {"subject": "a/b", "versions": [{"version": "1.0.0", "schema": content}]}
        path.write_text(json.dumps(entry))
        found = take(path)
    assert "holds another schema" in found["refused"][0]["why"]


@pytest.mark.django_db
def test_the_command_exits_with_one_when_anything_was_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("{nope\n")
    with pytest.raises(SystemExit) as caught:
        call_command("import", str(path), "--json")
    assert caught.value.code == 1
    assert json.loads(capsys.readouterr().out)["refused"][0]["where"] == "bad.jsonl:1"


@pytest.mark.django_db
def test_the_command_says_which_rule_a_domain_breaks(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"breaks a rule.*domain\.object_action"):
        call_command("import", str(tmp_path), "--domain", "Bad Domain")
