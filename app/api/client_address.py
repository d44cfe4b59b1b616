"""Where a request comes from, believing forwarded headers from trusted proxies alone.

Must never trust `X-Forwarded-*` of a stranger: who may write it escapes every throttle.
"""

from __future__ import annotations

import ipaddress

from aiohttp import web
from aiohttp.web_request import BaseRequest

from app.services import SERVICES
from app.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
IPV6_SITE_BITS = 64
"""One customer has a whole /64: they count as one address."""


def client_address(request: web.Request) -> str:
    """The client's address: of an IPv6 address its /64; "local" for a unix socket."""
    peer = _peer(request)
    if peer is None:
        return "local"
    address, settings = peer, request.app[SERVICES].settings
    if _trusted(settings, peer):
        # From the right: each proxy appends whom it was called by; the first that is not
        # one of ours was written by ours, everything left of it by strangers.
        # A proxy may append a line of its own; several are one list (RFC 9110 section 5.3).
        for text in reversed(",".join(request.headers.getall("X-Forwarded-For", ())).split(",")):
            hop = _parse(text)
            if hop is None:
                break
            address = hop
            if not _trusted(settings, hop):
                break
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_SITE_BITS), strict=False))
    return str(address)


def is_https(request: BaseRequest, settings: Settings) -> bool:
    """Whether the client speaks TLS, to us or to a trusted proxy; or a setting says so."""
    if request.secure or settings.speaks_tls:
        return True
    if not settings.trusted_proxies:
        return False
    peer = _peer(request)
    # Of several lines, too, the last is the nearest proxy's.
    forwarded = ",".join(request.headers.getall("X-Forwarded-Proto", ())).rpartition(",")[2]
    return peer is not None and _trusted(settings, peer) and forwarded.strip().lower() == "https"


def _peer(request: BaseRequest) -> Address | None:
    name = request.transport.get_extra_info("peername") if request.transport else None
    return _parse(name[0]) if isinstance(name, tuple) else None


def _trusted(settings: Settings, address: Address) -> bool:
    return any(address in network for network in settings.trusted_proxies)


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
