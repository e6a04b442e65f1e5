"""What the other side gives as its reason, in one line that may be shown to anybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fexp.names import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD_CHARS = 700
_TAIL_CHARS = 300
"""A Pushgateway says last what is wrong, after the whole metric that it is wrong with."""


def reason_in(body: bytes, secrets: Iterable[str]) -> str:
    """Give what an error's body says, without the secrets; of a page in HTML its title. Empty when it says nothing."""
    text = masked(body.decode("utf-8", "replace"), secrets)
    if text.lstrip().startswith("<"):
        from html import unescape

        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = unescape(title[1]) if title else ""
    text = " ".join(text.split())
    if len(text) > _HEAD_CHARS + _TAIL_CHARS:
        text = f"{text[:_HEAD_CHARS]} … {text[-_TAIL_CHARS:]}"
    return one_line(text, 2 * (_HEAD_CHARS + _TAIL_CHARS))


def masked(text: str, secrets: Iterable[str]) -> str:
    """Hide secrets that the other side echoes, also as JSON, HTML or a URL would write them."""
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _forms(secret: str) -> Iterator[str]:
    """Give a secret as it is, and as Python, Go and JavaScript write it into JSON, HTML and URLs."""
    import json
    from html import escape
    from urllib.parse import quote, quote_plus

    yield secret
    yield one_line(secret, len(secret))
    for quotes in (True, False):
        page = escape(secret, quote=quotes)
        yield page
        yield page.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    for ascii_only in (True, False):
        text = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield text
        yield text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    for encode in (quote, quote_plus):
        url = encode(secret, safe="", errors="surrogateescape")
        yield url
        yield re.sub("%..", lambda found: found[0].lower(), url)
