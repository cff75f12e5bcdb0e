"""How the site is drawn; scripts/docs gathers its pages and builds it."""

from importlib.metadata import version as version_of

project = "Orthogon"
version = release = version_of("orthogon")
extensions = ["myst_parser"]
myst_heading_anchors = 3
smartquotes = False  # two dashes are an option
html_theme = "furo"
html_title = "Orthogon"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
pygments_style = "default"
pygments_dark_style = "monokai"
html_theme_options = {"navigation_with_keys": True}
