"""What the other side gives as its reason, in one line that may be shown to anybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fexp.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD_CHARS = 700
_TAIL_CHARS = 300
"""A Pushgateway says last what is wrong, after the whole metric that it is wrong with."""
_KEPT_IN_URLS = ("", "/", "$&+=:@", "!*'()", "!*'();,/?:@&=+$#")
"""What goes unescaped into a URL, by strict programs, Python, Go, and JavaScript's two functions."""


def reason_in(body: bytes, secrets: Iterable[str]) -> str:
    """Return what an error's body says, without the secrets; of a page in HTML its title; or an empty text."""
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
    """Return the text without secrets that the other side echoes, also as JSON, HTML or a URL would write them."""
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, and as Python, Go and JavaScript write it into JSON, HTML and URLs."""
    import json
    from html import escape
    from urllib.parse import quote, quote_plus

    octets = secret.encode(errors="surrogateescape")
    yield secret
    yield one_line(secret, len(secret))
    yield repr(octets)[2:-1]
    for quotes in (True, False):
        page = escape(secret, quote=quotes)
        yield page
        go_page = page.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
        yield go_page
        yield go_page.replace("+", "&#43;")
    for ascii_only in (True, False):
        text = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield text
        yield text.replace("/", r"\/")
        yield text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    for url in (quote_plus(octets), *(quote(octets, safe=kept) for kept in _KEPT_IN_URLS)):
        yield url
        yield re.sub("%..", lambda found: found[0].lower(), url)
