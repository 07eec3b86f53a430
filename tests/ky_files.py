"""KY files made cell by cell: a workbook is a zip file of XML."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

SHEET = "整控-馈源舱数据"
COLUMNS = ("SysTime", "SDP_PhaPos_X", "SDP_PhaPos_Y", "SDP_PhaPos_Z", "SDP_SwtDPose_Y",
           "SDP_SwtDPose_P", "SDP_SwtDPose_R", "SDP_AngleM")

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_SHEETML = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def write(path: Path, rows: Sequence[Sequence[object]], *, columns: Sequence[str] = COLUMNS,
          sheets: Sequence[str] = ("其他", SHEET)) -> Path:
    """A workbook whose last sheet has a row of titles and `rows`; the others are empty."""
    table = [list(columns), *rows]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", _types(len(sheets)))
        archive.writestr("_rels/.rels", _relations([("officeDocument", "xl/workbook.xml")]))
        named = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>'
                        for n, name in enumerate(sheets, 1))
        archive.writestr("xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
                         f"<sheets>{named}</sheets></workbook>")
        archive.writestr("xl/_rels/workbook.xml.rels", _relations(
            [("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]))
        for n in range(1, len(sheets) + 1):
            archive.writestr(f"xl/worksheets/sheet{n}.xml",
                             _sheet(table if n == len(sheets) else []))
    return path


def _types(n: int) -> str:
    parts = [("xl/workbook.xml", "sheet.main"),
             *((f"xl/worksheets/sheet{k}.xml", "worksheet") for k in range(1, n + 1))]
    listed = "".join(f'<Override PartName="/{part}" ContentType="{_SHEETML}.{kind}+xml"/>'
                     for part, kind in parts)
    return (f'<Types xmlns="{_TYPES}"><Default Extension="rels" ContentType='
            f'"application/vnd.openxmlformats-package.relationships+xml"/>{listed}</Types>')


def _relations(items: Sequence[tuple[str, str]]) -> str:
    listed = "".join(f'<Relationship Id="rId{n}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
                     for n, (kind, target) in enumerate(items, 1))
    return f'<Relationships xmlns="{_RELATIONS}">{listed}</Relationships>'


def _sheet(table: Sequence[Sequence[object]]) -> str:
    rows = "".join(
        f'<row r="{r}">' + "".join(_cell(f"{chr(65 + c)}{r}", value)
                                   for c, value in enumerate(row)) + "</row>"
        for r, row in enumerate(table, 1))
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def _cell(place: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f'<c r="{place}"><v>{value!r}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'
