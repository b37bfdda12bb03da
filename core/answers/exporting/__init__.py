"""Exports of answers as files for statistics programs, with a codebook (CLAR-55, CLAR-56)."""

from core.answers.exporting.columns import Layout
from core.answers.exporting.export import Exported, ExportRefused, Form, export_answers

__all__ = ["ExportRefused", "Exported", "Form", "Layout", "export_answers"]
