"""What the pages of this project share: how they look (`base.css`), and templates that escape texts of strangers.

A page has its own style and script beside its template. Its policy names the hash of the script: no other may run,
whatever else gets into the page.
"""

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    import jinja2


@cache
def page_templates(package: str) -> "jinja2.Environment":
    """The templates in the folder of a package; once in a process, for each template is compiled once."""
    import jinja2

    # Names, captions and reasons are texts of unknown authors: everything is escaped.
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return templates


def source(templates: "jinja2.Environment", name: str) -> Markup:
    """A file of the templates' folder, unchanged: it is not a template and has no text of unknown authors."""
    assert templates.loader is not None
    return Markup(templates.loader.get_source(templates, name)[0])


def style(templates: "jinja2.Environment") -> Markup:
    """The style of a page: what all share, and its own `style.css`."""
    return source(page_templates(__name__), "base.css") + source(templates, "style.css")


def policy_hash(text: str) -> str:
    """How a Content-Security-Policy names a script or style of the page itself."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
