"""The matrix as JUnit's XML, which every CI shows: a test for each cell."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from lab.matrix.result import CellResult, Matrix


def junit(matrix: Matrix) -> str:
    """Return the document; a cell that says nothing is an error, another unexpected one a failure."""
    broken = sum(cell.shown.broken for cell in matrix.cells)
    suite = Element(
        "testsuite",
        name=f"matrix.{matrix.backend}",
        tests=str(len(matrix.cells)),
        failures=str(len(matrix.unexpected) - broken),
        errors=str(broken),
        skipped="0",
        time=f"{matrix.seconds:.3f}",
    )
    for cell in matrix.cells:
        _add(suite, cell, matrix.backend)
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _add(suite: Element, cell: CellResult, backend: str) -> None:
    run = cell.shown
    took = sum(part for part in (run.opened_after, run.direct_after) if part is not None)
    case = SubElement(
        suite,
        "testcase",
        classname=f"matrix.{backend}.{cell.client}",
        name=f"{cell.client} x {cell.server}",
        time=f"{took:.3f}",
    )
    if cell.unexpected:
        kind = "error" if run.broken else "failure"
        found = SubElement(case, kind, type="unexpected", message=f"{cell.met}: {run.reason}")
        found.text = f"again: {cell.again(backend)}"
    told = SubElement(case, "system-out")
    told.text = "\n".join([f"{cell.verdict}: {run.reason}", *(f"{one.at:8.3f} s  {one.what}" for one in run.timeline)])
