"""Text and markup are told apart."""
from __future__ import annotations

from redo_tf.reporting.markup import Html, element, join


def test_text_is_escaped_once_and_markup_is_not():
    cell = element("td", "a<b>&\"c'", class_="x\"y", data_name="&", hidden=True, title=None)
    assert cell == '<td class="x&quot;y" data-name="&amp;" hidden>a&lt;b&gt;&amp;&quot;c&#x27;</td>'
    assert element("tr", cell, [None, 3]) == f"<tr>{cell}3</tr>"
    assert join("<", Html("<br>")) == "&lt;<br>" and element("img", src="s") == '<img src="s">'
