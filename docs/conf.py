"""Sphinx configuration: pages in Markdown, the reference from docstrings; warnings are errors (`make docs`)."""

project = "infodil"
author = "The infodil authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
html_theme = "furo"
html_title = "infodil"
exclude_patterns = ["_build"]
nb_execution_mode = "off"  # outputs are committed, and a test runs the cells
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Reference", "notes")]
nitpicky = False

first_paragraphs = {}
"""Of docstrings of attributes and properties: napoleon would split them at a colon into a type and a description."""


def keep_first_paragraph(app, what, name, obj, options, lines):
    """Take away the first paragraph of what has a value before napoleon reads it."""
    if what in ("attribute", "property"):
        end = lines.index("") if "" in lines else len(lines)
        first_paragraphs[name] = lines[:end]
        del lines[:end]


def restore_first_paragraph(app, what, name, obj, options, lines):
    """Put the first paragraph back as it is written."""
    if what in ("attribute", "property"):
        lines[:0] = first_paragraphs.pop(name)


def setup(app):
    """Handlers on both sides of napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", keep_first_paragraph, priority=400)
    app.connect("autodoc-process-docstring", restore_first_paragraph, priority=600)
