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

as_written = {}
"""Docstrings of attributes, which napoleon would split at their first colon into a type and a description."""


def keep_attribute(app, what, name, obj, options, lines):
    """The docstring of an attribute, kept before napoleon reads it."""
    if what == "attribute":
        as_written[name] = list(lines)


def restore_attribute(app, what, name, obj, options, lines):
    """The docstring of an attribute as it is written."""
    if what == "attribute":
        lines[:] = as_written.pop(name)


def setup(app):
    """Handlers on both sides of napoleon, whose priority is 500."""
    app.connect("autodoc-process-docstring", keep_attribute, priority=400)
    app.connect("autodoc-process-docstring", restore_attribute, priority=600)
