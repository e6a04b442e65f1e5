"""The proxies that the environment asks for."""

from __future__ import annotations

import base64
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import urllib3

from fexp.errors import OutputError
from fexp.outputs.push.endpoint import shown_url

if TYPE_CHECKING:
    import ssl


def proxy_for(url: str, loopback: bool) -> str | None:
    """Return the proxy that the environment asks for. As in Go's programs, none for this machine itself."""
    parts = urlsplit(url)
    proxies = getproxies_environment()
    proxy_url = proxies.get(parts.scheme) or proxies.get("all")
    if loopback or not proxy_url or proxy_bypass(parts.netloc) or _is_exempt(parts.hostname, proxies.get("no", "")):
        return None
    return proxy_url if "://" in proxy_url else f"http://{proxy_url}"


def _is_exempt(host: str | None, no_proxy: str) -> bool:
    """Return whether no_proxy names the address or its network, which the standard library does not know."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return False
    for entry in no_proxy.split(","):
        try:
            if address in ipaddress.ip_network(entry.strip().strip("[]"), strict=False):
                return True
        except ValueError:
            continue  # a name
    return False


def proxy_secrets() -> tuple[str, ...]:
    """Return what no message may hold of the proxies in the environment."""
    secrets: list[str] = []
    for proxy_url in getproxies_environment().values():
        user_info, at, _ = proxy_url.rpartition("@")
        if at:
            credentials = unquote_to_bytes(user_info.rpartition("//")[2])
            password = credentials.partition(b":")[2]
            secrets += [base64.b64encode(credentials).decode("ascii"), password.decode("utf-8", "surrogateescape")]
    return tuple(secrets)


def through(proxy_url: str, context: ssl.SSLContext | None) -> urllib3.ProxyManager:
    """Return what connects through this proxy. Raise OutputError if it cannot be one."""
    try:
        parts = urllib3.util.parse_url(proxy_url)
        if not parts.host:
            raise urllib3.exceptions.LocationValueError
        headers = {}
        if parts.auth:
            credentials = base64.b64encode(unquote_to_bytes(parts.auth)).decode("ascii")
            headers["Proxy-Authorization"] = f"Basic {credentials}"
        return urllib3.ProxyManager(
            parts._replace(auth=None).url, num_pools=1, ssl_context=context, proxy_headers=headers
        )
    except (urllib3.exceptions.HTTPError, ValueError):
        raise OutputError(
            f"the proxy {shown_url(proxy_url)} from the environment is none that fexp can use;"
            " give an http:// or https:// one, or set no_proxy",
            final=True,
        ) from None
