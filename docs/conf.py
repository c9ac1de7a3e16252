"""How Sphinx builds these pages: `bash scripts/docs.sh`. Nothing is fetched, and no simulator is started."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

project = "mtrl"
html_show_copyright = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "mtrl"
html_static_path = ["static"]
html_css_files = ["mtrl.css"]
html_copy_source = False
html_show_sphinx = False
exclude_patterns = ["notebooks/*"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "fieldlist"]
suppress_warnings = ["myst.header"]  # a page of results that is included begins at its own level

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # an override without words of its own says nothing that its interface does not
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True


def setup(app: Sphinx) -> None:
    """Docstrings are read as Markdown, before napoleon reads their sections; pages of results link as these do."""
    from docstrings import Docstrings, show_colons
    from included_links import link_here
    from option_list import OptionList

    app.connect("autodoc-process-docstring", Docstrings(), priority=100)
    app.connect("autodoc-process-docstring", show_colons, priority=900)
    app.add_directive("options", OptionList)
    app.connect("include-read", link_here)
