"""Sign-in by an OpenID provider: authorization code with PKCE; what comes back is believed only after every check."""

from __future__ import annotations

import hmac
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from authlib.deprecate import AuthlibDeprecationWarning
from authlib.integrations.base_client import OAuthError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from health_pipeline.review.desk.desk_settings import LOOPBACK_NAMES, DeskSettings
from health_pipeline.review.desk.sessions import SignInUnderWay, new_token

with warnings.catch_warnings():
    # It would rather have httpx's successor, and says so to whoever starts the desk.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import OAuth2Client

SCOPE = "openid email"
CALLBACK_PATH = "/sign-in/callback"
# Asymmetric ones alone: with a symmetric one whoever knows the client secret could sign an identity.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
CLOCK_LEEWAY_SECONDS = 60
PATIENCE_SECONDS = 10


class SignInError(RuntimeError):
    """The sign-in is refused; the sentence is shown to the person, and holds nothing of what the provider sent."""


@dataclass(frozen=True)
class Identity:
    """Who the provider says it is."""

    issuer: str
    subject: str
    email: str


class OidcProvider:
    """One OpenID provider and this desk's registration there; its metadata is read when first needed.

    Parameters
    ----------
    transport : of httpx, for tests that play the provider
    """

    def __init__(self, settings: DeskSettings, transport: httpx.BaseTransport | None = None) -> None:
        self.settings = settings
        self.issuer = str(settings.oidc_issuer)
        self.transport = transport
        self._metadata: dict[str, Any] | None = None
        self._keys: KeySet | None = None

    def begin(self, next_path: str) -> tuple[str, SignInUnderWay]:
        """The provider's address to send the browser to, and what to keep until it comes back."""
        state, nonce, verifier = new_token(), new_token(), new_token() + new_token()
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier
            )
        return address, SignInUnderWay(state, nonce, verifier, next_path)

    def finish(self, answer: str, query: dict[str, str], under_way: SignInUnderWay, now: datetime) -> Identity:
        """Exchange the code that came back, and check whom it speaks of.

        Parameters
        ----------
        answer : the address the browser came back to, with its query
        query : the query's parts

        Raises
        ------
        SignInError
            If anything about the answer is not as it must be.
        """
        if not hmac.compare_digest(query.get("state", ""), under_way.state):
            raise SignInError("This sign-in was not begun in this browser; begin it again.")
        if query.get("iss", self.issuer) != self.issuer:
            raise SignInError("The answer comes from another provider than the one that was asked.")
        if "error" in query or "code" not in query:
            raise SignInError("The provider did not sign you in; begin again, or ask who looks after it.")
        try:
            with self._client() as client:
                token = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    authorization_response=answer,
                    state=under_way.state,
                    code_verifier=under_way.verifier,
                )
        except (OAuthError, httpx.HTTPError, ValueError) as error:
            raise SignInError("The provider refused the code it had given; begin again.") from error
        return self.identity_of(token, under_way.nonce, now)

    def identity_of(self, token: dict[str, Any], nonce: str, now: datetime) -> Identity:
        """Check an ID token: signature, issuer, audience, times, nonce; and that its address is verified.

        Raises
        ------
        SignInError
            Which of them did not hold.
        """
        claims = self._claims(str(token.get("id_token") or ""), token.get("access_token"))
        client_id = str(self.settings.oidc_client_id)
        claims.options = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": client_id},
        }
        claims.params.update(nonce=nonce, client_id=client_id)
        try:
            claims.validate(now=int(now.timestamp()), leeway=CLOCK_LEEWAY_SECONDS)
        except JoseError as error:
            raise SignInError(f"The provider's token does not hold: {error.description or error.error}.") from error
        email = str(claims.get("email") or "").strip().lower()
        if not email:
            raise SignInError("The provider says no address of you; this desk needs the scope `email`.")
        if claims.get("email_verified") is not True and not self.settings.oidc_accepts_unverified_email:
            raise SignInError("The provider has not verified your address; have it verified there.")
        return Identity(self.issuer, str(claims["sub"]), email)

    def _claims(self, id_token: str, access_token: str | None) -> CodeIDToken:
        try:
            try:
                found = jwt.decode(id_token, self._key_set(), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                # The provider may have changed its keys since they were read.
                found = jwt.decode(id_token, self._key_set(anew=True), algorithms=ALGORITHMS)
        except (JoseError, ValueError) as error:
            raise SignInError("The provider's token is not signed by one of its keys.") from error
        return CodeIDToken(found.claims, found.header, params={"access_token": access_token})

    def _key_set(self, anew: bool = False) -> KeySet:
        if self._keys is None or anew:
            self._keys = KeySet.import_key_set(self._read_json(self._endpoint("jwks_uri")))  # type: ignore[arg-type]
        return self._keys

    def _endpoint(self, name: str) -> str:
        if self._metadata is None:
            found = self._read_json(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise SignInError("The provider calls itself otherwise than HEALTH_DESK_OIDC_ISSUER does.")
            self._metadata = found
        address = httpx.URL(str(self._metadata.get(name) or ""))
        if address.scheme != "https" and address.host not in LOOPBACK_NAMES:
            raise SignInError(f"The provider's {name} is not reached by https.")
        return str(address)

    def _read_json(self, address: str) -> dict[str, Any]:
        try:
            with httpx.Client(transport=self.transport, timeout=PATIENCE_SECONDS) as client:
                answer = client.get(address)
                answer.raise_for_status()
                return dict(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            raise SignInError("The sign-in provider does not answer; try again in a minute.") from error

    def _client(self) -> OAuth2Client:
        secret = self.settings.oidc_client_secret
        return OAuth2Client(
            client_id=self.settings.oidc_client_id,
            client_secret=secret.get_secret_value() if secret else None,
            scope=SCOPE,
            redirect_uri=self.settings.origin + CALLBACK_PATH,
            code_challenge_method="S256",
            transport=self.transport,
            timeout=PATIENCE_SECONDS,
        )
