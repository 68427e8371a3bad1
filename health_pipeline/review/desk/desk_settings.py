"""How this desk is reached and how people sign in to it: `HEALTH_DESK_*`, checked once when it starts."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

SignIn = Literal["oidc", "proxy", "demo"]
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# Shorter ones can be guessed; `openssl rand -hex 32` makes one.
SECRET_CHARACTERS = 32


class DeskSetupError(ValueError):
    """The desk can't start so; the message says which setting, and what to give it."""


class DeskSettings(BaseSettings):
    """Address, way of signing in and lifetimes, from the environment.

    Attributes
    ----------
    public_url : str
        `HEALTH_DESK_PUBLIC_URL`: the address people type. `https://...` unless it is this machine alone.
    bind : str
        `HEALTH_DESK_BIND`: the address of this machine the server listens on; TLS ends before it.
    sign_in : str or None
        `HEALTH_DESK_SIGN_IN`: `oidc` or `proxy`. The demo sign-in can't be set here; it is asked for by a flag.
    oidc_issuer, oidc_client_id, oidc_client_secret
        `HEALTH_DESK_OIDC_*`: the OpenID provider and this desk's registration there.
    oidc_accepts_unverified_email : bool
        Whether an address that the provider has not verified is believed.
    proxy_secret, proxy_peers, proxy_email_header, proxy_secret_header
        `HEALTH_DESK_PROXY_*`: a proxy that has authenticated the person; it proves itself by the secret and by its
        own address, and both are needed.
    idle_minutes, session_hours : int
        A session ends after so long without a request, and after so long in any case.
    posts_per_minute, sign_ins_per_minute, pulls_per_minute : int
        Per person, per client address, and per token of another system.
    record_links : dict of str to str
        `HEALTH_DESK_RECORD_LINKS`: JSON of source system to an `https://` address with `{record}` in it, so that
        evidence links to its record.
    """

    model_config = SettingsConfigDict(env_prefix="HEALTH_DESK_", env_ignore_empty=True, frozen=True)

    public_url: str = "http://127.0.0.1:8600"
    bind: str = "127.0.0.1"
    sign_in: SignIn | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_accepts_unverified_email: bool = False
    proxy_secret: SecretStr | None = None
    proxy_peers: tuple[str, ...] = ()
    proxy_email_header: str = "X-Forwarded-Email"
    proxy_secret_header: str = "X-Desk-Proxy-Secret"  # noqa: S105 - a header's name
    idle_minutes: int = Field(default=30, ge=1, le=720)
    session_hours: int = Field(default=10, ge=1, le=24)
    posts_per_minute: int = Field(default=60, ge=1)
    sign_ins_per_minute: int = Field(default=20, ge=1)
    pulls_per_minute: int = Field(default=60, ge=1)
    record_links: dict[str, str] = Field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Scheme and host with port, as a browser sends it."""
        return self.public_url.rstrip("/")

    @property
    def host(self) -> str:
        """The host and port a request must be made to."""
        return urlsplit(self.origin).netloc.lower()

    @property
    def is_https(self) -> bool:
        """Whether cookies can be `Secure`."""
        return self.origin.startswith("https://")

    @property
    def is_loopback(self) -> bool:
        """Whether the desk is reached from this machine alone."""
        return (urlsplit(self.origin).hostname or "") in LOOPBACK_NAMES

    def checked(self) -> DeskSettings:
        """These settings, if a desk can start with them.

        Raises
        ------
        DeskSetupError
            In one sentence, naming the setting.
        """
        parts = urlsplit(self.origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
            raise DeskSetupError(
                f"HEALTH_DESK_PUBLIC_URL is {self.public_url!r}; give scheme and host, https://desk.example.com."
            )
        if not self.is_https and not self.is_loopback:
            raise DeskSetupError(f"HEALTH_DESK_PUBLIC_URL is {self.public_url}; other machines reach a desk by https.")
        for system, link in self.record_links.items():
            if not link.startswith("https://") or "{record}" not in link:
                raise DeskSetupError(
                    f"HEALTH_DESK_RECORD_LINKS: {system} needs an https:// address with {{record}}, not {link!r}."
                )
        checks = {"oidc": self._check_oidc, "proxy": self._check_proxy, "demo": self._check_demo}
        if self.sign_in is None:
            raise DeskSetupError(
                "Nobody could sign in: set HEALTH_DESK_SIGN_IN to oidc or proxy, or try the desk on this machine with "
                "--demo-sign-in."
            )
        checks[self.sign_in]()
        return self

    def _check_oidc(self) -> None:
        for name in ("oidc_issuer", "oidc_client_id", "oidc_client_secret"):
            if getattr(self, name) is None:
                raise DeskSetupError(f"HEALTH_DESK_{name.upper()} is missing; the OpenID provider gives it to you.")
        issuer = urlsplit(self.oidc_issuer or "")
        if issuer.scheme != "https" and issuer.hostname not in LOOPBACK_NAMES:
            raise DeskSetupError(f"HEALTH_DESK_OIDC_ISSUER is {self.oidc_issuer}; a provider is reached by https.")

    def _check_proxy(self) -> None:
        secret = self.proxy_secret.get_secret_value() if self.proxy_secret else ""
        if len(secret) < SECRET_CHARACTERS:
            raise DeskSetupError(
                f"HEALTH_DESK_PROXY_SECRET needs {SECRET_CHARACTERS} characters: `openssl rand -hex 32`."
            )
        if not self.proxy_peers:
            raise DeskSetupError('HEALTH_DESK_PROXY_PEERS is empty; name the proxy\'s addresses, ["10.0.0.5/32"].')
        for peer in self.proxy_peers:
            try:
                ip_network(peer, strict=False)
            except ValueError as error:
                raise DeskSetupError(f"HEALTH_DESK_PROXY_PEERS: {peer!r} is no address or network.") from error

    def _check_demo(self) -> None:
        if not self.is_loopback or self.bind not in LOOPBACK_NAMES:
            raise DeskSetupError(
                f"The demo sign-in lets in whoever asks, so it is for this machine alone, not for {self.public_url} "
                f"on {self.bind}."
            )


def is_loopback_address(address: str | None) -> bool:
    """Whether a client's address is this machine's own."""
    if address is None:
        return False
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def desk_settings_of(port: int, is_demo: bool) -> DeskSettings:
    """The environment's settings for a desk on that port; the demo sign-in takes the place of any other."""
    settings = DeskSettings()
    changes: dict[str, object] = {}
    if "public_url" not in settings.model_fields_set:
        changes["public_url"] = f"http://127.0.0.1:{port}"
    if is_demo:
        changes["sign_in"] = "demo"
    elif settings.sign_in == "demo":
        raise DeskSetupError("HEALTH_DESK_SIGN_IN can't be demo: the demo sign-in is asked for with --demo-sign-in.")
    return settings.model_copy(update=changes)
