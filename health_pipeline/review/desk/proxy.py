"""Sign-in by a proxy that has authenticated the person: believed only from its address, and with its secret."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from health_pipeline.review.desk.desk_settings import DeskSettings

_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")


def proxied_email(settings: DeskSettings, headers: Mapping[str, str], peer: str | None) -> str | None:
    """The address the proxy vouches for; None where the request is not the proxy's, or names nobody.

    Parameters
    ----------
    headers : of the request, names without regard to case
    peer : the address of the other end of the connection, not what a header says it is
    """
    secret = settings.proxy_secret.get_secret_value() if settings.proxy_secret else ""
    given = headers.get(settings.proxy_secret_header, "")
    if not secret or not hmac.compare_digest(given.encode(), secret.encode()):
        return None
    if not _is_peer(settings, peer):
        return None
    email = headers.get(settings.proxy_email_header, "").strip().lower()
    return email if _EMAIL.fullmatch(email) else None


def _is_peer(settings: DeskSettings, peer: str | None) -> bool:
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    return any(address in ip_network(one, strict=False) for one in settings.proxy_peers)
