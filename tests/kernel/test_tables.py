"""Tables for spreadsheets: what was put in comes out, and no cell begins a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kernel.tables import GUARD, lines

CELLS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.sampled_from(
        ["=1+1", "-1", "+a", "@x", "\t=1", "\r\n=1", ' =cmd|"/c calc"!A0', "＝1", "'=1"]
    ),
    st.integers(min_value=-(2**63), max_value=2**63),
)


def read(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode(), newline="")))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=5), max_size=5))
def test_a_table_reads_back_and_holds_no_formula(rows: list[list[str | int]]) -> None:
    found = read(lines(rows))
    assert len(found) == len(rows)
    for before, after in zip(rows, found, strict=True):
        assert len(before) == len(after)
        for value, cell in zip(before, after, strict=True):
            if isinstance(value, int):
                assert cell == str(value)
                continue
            assert cell.removeprefix(GUARD) == value.replace("\0", "\ufffd").removeprefix(GUARD)
            assert not cell.strip(" ").startswith(tuple("=+-@\t\r\n＝＋－＠"))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain", b"plain,1\r\n"),
        ("=1+1", b"'=1+1,1\r\n"),
        ("  @SUM(A1)", b"'  @SUM(A1),1\r\n"),
        ('a "quoted", one', b'"a ""quoted"", one",1\r\n'),
        ("two\nlines", b'"two\nlines",1\r\n'),
        ("1-2", b"1-2,1\r\n"),
    ],
)
def test_cells_as_they_are_written(value: str, line: bytes) -> None:
    assert lines([[value, 1]]) == line
