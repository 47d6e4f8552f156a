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
