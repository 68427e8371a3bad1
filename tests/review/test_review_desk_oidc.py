"""Sign-in by OpenID Connect: against a provider that is not ours, and against one that lies in every part it can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from desk_house import House, build_house, packet_of
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from reviewing import ADMIN, CSM, LEAD, NOW, SetClock

from health_pipeline.review import Ledger
from health_pipeline.review.desk.desk_settings import DeskSettings
from health_pipeline.review.desk.oidc import OidcProvider, SignInError
from health_pipeline.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:authlib.jose", "ignore:JWS algorithm")
ISSUER = "https://idp.example"
CLIENT = "desk"
NONCE = "nonce-of-this-sign-in"
KEY = RSAKey.generate_key(2048, {"kid": "k1"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "k1"})


def settings_of(issuer: str, **more: Any) -> DeskSettings:
    values = {"sign_in": "oidc", "oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": "a secret"}
    return DeskSettings(**(values | more))


# The other provider.


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    users = [
        oidc_provider_mock.User(sub="s-csm", claims={"email": CSM, "email_verified": True}),
        oidc_provider_mock.User(sub="s-new", claims={"email": CSM, "email_verified": True}),
        oidc_provider_mock.User(sub="s-unverified", claims={"email": LEAD, "email_verified": False}),
        oidc_provider_mock.User(sub="s-stranger", claims={"email": "stranger@example.com", "email_verified": True}),
    ]
    with oidc_provider_mock.run_server_in_thread(user_claims=users, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def oidc_house(provider: str, settings: Settings, ledger: Ledger) -> House:
    """A desk whose clock is the wall's: the provider's tokens hold by it."""
    clock = SetClock(SetClock.__mro__[1]().now())
    object.__setattr__(ledger, "clock", clock)
    values = settings_of(provider).model_dump(exclude_unset=True)
    return build_house(settings, ledger, clock, [packet_of(1, CSM)], values)


def through_provider(house: House, subject: str, next_path: str = "/queue") -> tuple[Any, Any]:
    """A browser that goes to the provider and comes back; the browser, and the desk's last answer."""
    visitor = house.visitor()
    there = visitor.get(f"/sign-in/begin?next={next_path}")
    assert there.status_code == 303
    back = httpx.post(there.headers["location"], data={"sub": subject})
    parts = urlsplit(back.headers["location"])
    return visitor, visitor.get(f"{parts.path}?{parts.query}")


def test_a_user_signs_in_and_comes_to_the_page_they_wanted(oidc_house: House) -> None:
    visitor, answer = through_provider(oidc_house, "s-csm", "/cases/pkt_1")
    assert answer.status_code == 303 and answer.headers["location"] == "/cases/pkt_1"
    assert "Cas Mana" in visitor.get("/queue").text


def test_what_is_sent_to_the_provider(oidc_house: House) -> None:
    sent = parse_qs(urlsplit(oidc_house.visitor().get("/sign-in/begin").headers["location"]).query)
    again = parse_qs(urlsplit(oidc_house.visitor().get("/sign-in/begin").headers["location"]).query)
    assert sent["response_type"] == ["code"] and sent["scope"] == ["openid email"]
    assert sent["redirect_uri"] == ["http://127.0.0.1:8600/sign-in/callback"]
    assert sent["code_challenge_method"] == ["S256"] and len(sent["code_challenge"][0]) == 43
    for name in ("state", "nonce", "code_challenge"):
        assert sent[name] != again[name] and len(sent[name][0]) >= 43


def test_who_is_no_user_here_is_not_let_in(oidc_house: House) -> None:
    visitor, answer = through_provider(oidc_house, "s-stranger")
    assert answer.status_code == 403 and "no active user" in answer.text
    assert visitor.get("/queue").status_code == 303


def test_an_unverified_address_is_not_believed(oidc_house: House) -> None:
    assert through_provider(oidc_house, "s-unverified")[1].status_code == 403


def test_an_address_given_to_another_person_is_not_theirs_until_an_admin_frees_it(oidc_house: House) -> None:
    assert through_provider(oidc_house, "s-csm")[1].status_code == 303
    answer = through_provider(oidc_house, "s-new")[1]
    assert answer.status_code == 403 and "another sign-in" in answer.text
    from health_pipeline.review.database import writing
    from health_pipeline.review.desk.sessions import unbind_identity

    with writing(oidc_house.ledger.engine) as connection:
        assert unbind_identity(connection, CSM) == 1
    assert through_provider(oidc_house, "s-new")[1].status_code == 303
    assert oidc_house.ledger.person(ADMIN) is not None


def test_a_code_counts_once_and_only_in_the_browser_that_began(oidc_house: House) -> None:
    visitor = oidc_house.visitor()
    there = visitor.get("/sign-in/begin")
    back = urlsplit(httpx.post(there.headers["location"], data={"sub": "s-csm"}).headers["location"])
    path = f"{back.path}?{back.query}"
    stranger = oidc_house.visitor()
    assert stranger.get(path).status_code == 400
    stranger.get("/sign-in/begin")
    assert stranger.get(path).status_code == 403
    assert visitor.get(path).status_code == 303
    assert visitor.get(path).status_code == 400


def test_a_sign_in_that_takes_too_long_is_begun_again(oidc_house: House) -> None:
    visitor = oidc_house.visitor()
    there = visitor.get("/sign-in/begin")
    back = urlsplit(httpx.post(there.headers["location"], data={"sub": "s-csm"}).headers["location"])
    oidc_house.clock.pass_days(10 / 1440)
    assert visitor.get(f"{back.path}?{back.query}").status_code == 400


def test_a_provider_that_refuses_or_is_away(oidc_house: House, settings: Settings) -> None:
    visitor = oidc_house.visitor()
    there = visitor.get("/sign-in/begin")
    back = urlsplit(httpx.post(there.headers["location"], data={"action": "deny"}).headers["location"])
    state = parse_qs(urlsplit(there.headers["location"]).query)["state"][0]
    query = back.query if "state=" in back.query else f"{back.query}&state={state}"
    assert visitor.get(f"{back.path}?{query}").status_code == 403

    def nothing_there(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    away = OidcProvider(settings_of(ISSUER), httpx.MockTransport(nothing_there))
    with pytest.raises(SignInError, match="does not answer"):
        away.begin("/")


# A provider that lies.


def claims(**changes: Any) -> dict[str, Any]:
    now = int(NOW.timestamp())
    plain = {
        "iss": ISSUER,
        "sub": "s-1",
        "aud": CLIENT,
        "iat": now,
        "exp": now + 300,
        "nonce": NONCE,
        "email": CSM,
        "email_verified": True,
    }
    return {name: value for name, value in (plain | changes).items() if value is not ...}


def lying(issuer_said: str = ISSUER, jwks_uri: str = f"{ISSUER}/jwks") -> OidcProvider:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/openid-configuration":
            endpoints = {name: f"{ISSUER}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
            return httpx.Response(200, json={"issuer": issuer_said, "jwks_uri": jwks_uri, **endpoints})
        return httpx.Response(200, json={"keys": [KEY.as_dict(private=False)]})

    return OidcProvider(settings_of(ISSUER), httpx.MockTransport(answer))


def token(of: dict[str, Any], key: Any = KEY, alg: str = "RS256") -> dict[str, Any]:
    return {"id_token": jwt.encode({"alg": alg, "kid": "k1"}, of, key, algorithms=[alg])}


def test_a_token_that_holds_says_who_it_is() -> None:
    identity = lying().identity_of(token(claims(email="CSM@Example.com")), NONCE, NOW)
    assert (identity.issuer, identity.subject, identity.email) == (ISSUER, "s-1", CSM)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": ...},
        {"aud": "another-client"},
        {"aud": ...},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"aud": [CLIENT, "another"]},
        {"exp": int(NOW.timestamp()) - 61},
        {"exp": ...},
        {"iat": int(NOW.timestamp()) + 3600},
        {"nbf": int(NOW.timestamp()) + 3600},
        {"nonce": "of-another-sign-in"},
        {"nonce": ...},
        {"sub": ...},
        {"email": ...},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": ...},
    ],
)
def test_a_token_with_anything_wrong_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SignInError):
        lying().identity_of(token(claims(**changes)), NONCE, NOW)


def test_a_token_signed_by_another_key_or_by_nobody_is_refused() -> None:
    secret = OctKey.import_key("a secret" * 8)
    unsigned = jwt.encode({"alg": "none"}, claims(), secret, algorithms=["none"])
    for lie in (
        token(claims(), OTHER_KEY),
        {"id_token": unsigned},
        token(claims(), secret, "HS256"),
        {"id_token": token(claims())["id_token"][:-6] + "AAAAAA"},
        {"id_token": ""},
        {},
    ):
        with pytest.raises(SignInError):
            lying().identity_of(lie, NONCE, NOW)


def test_a_token_of_another_access_token_is_refused() -> None:
    with pytest.raises(SignInError):
        lying().identity_of({**token(claims(at_hash="AAAA")), "access_token": "x"}, NONCE, NOW)


def test_metadata_of_another_issuer_or_without_tls_is_refused() -> None:
    with pytest.raises(SignInError, match="calls itself otherwise"):
        lying(issuer_said="https://evil.example").begin("/")
    with pytest.raises(SignInError, match="by https"):
        lying(jwks_uri="http://idp.example/jwks").identity_of(token(claims()), NONCE, NOW)


def test_an_answer_of_another_issuer_or_state_is_refused() -> None:
    provider = lying()
    _, under_way = provider.begin("/")
    for query in (
        {"state": "x", "code": "c"},
        {"code": "c"},
        {"state": under_way.state, "code": "c", "iss": "https://other.example"},
        {"state": under_way.state},
        {"state": under_way.state, "error": "access_denied"},
    ):
        with pytest.raises(SignInError):
            provider.finish("https://desk/sign-in/callback", query, under_way, NOW)


def test_keys_are_read_anew_when_the_provider_has_changed_them() -> None:
    keys = [OTHER_KEY]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"})
        return httpx.Response(200, json={"keys": [keys[0].as_dict(private=False)]})

    provider = OidcProvider(settings_of(ISSUER), httpx.MockTransport(answer))
    with pytest.raises(SignInError):
        provider.identity_of(token(claims()), NONCE, NOW)
    keys[0] = KEY
    assert provider.identity_of(token(claims()), NONCE, NOW).email == CSM
