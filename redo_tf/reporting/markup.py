"""HTML that is well-formed and escaped because there is no other way to write it."""
from __future__ import annotations

import base64
import html
from typing import Optional, Union

VOID = ("input", "img", "meta")  # Elements without content.


class Html(str):
    """Markup. Every other string is text, and escaped where it becomes part of markup."""


Content = Union[str, None, "list[Content]"]


def join(*content: Content) -> Html:
    """One piece of markup from markup, text, lists of them, and None for nothing."""
    parts = []
    for item in content:
        if isinstance(item, (list, tuple)):
            parts.append(join(*item))
        elif item is not None:
            parts.append(item if isinstance(item, Html) else html.escape(str(item)))
    return Html("".join(parts))


def element(tag: str, /, *content: Content, **attributes: Optional[object]) -> Html:
    """<tag attribute="…">content</tag>.

    Args:
      attributes: `class_` stands for class, other underscores for hyphens; True is an attribute without a value, None
        and False leave it out.
    """
    written = []
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {key}")
        elif value is not None and value is not False:
            written.append(f' {key}="{html.escape(str(value))}"')
    opening = f"<{tag}{''.join(written)}>"
    return Html(opening) if tag in VOID else Html(f"{opening}{join(*content)}</{tag}>")


def png_image(png: bytes, description: str, **attributes: Optional[object]) -> Html:
    """A picture that lies in the page itself."""
    return element("img", src="data:image/png;base64," + base64.b64encode(png).decode(), alt=description, **attributes)
