"""Sessions, cookies, forms, headers: what docs/security.md says, item by item."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from desk_house import House, build_house, hidden, packet_of
from reviewing import ADMIN, CSM, LEAD, OTHER_CSM, SetClock
from sqlalchemy import select

from health_pipeline.review import Ledger
from health_pipeline.review.database import reading
from health_pipeline.review.desk.csv_file import harmless
from health_pipeline.review.desk.desk_settings import DeskSettings, DeskSetupError, desk_settings_of
from health_pipeline.review.desk.http_headers import HEADERS
from health_pipeline.review.desk.pages.sign_in import own_path
from health_pipeline.review.desk.rate_limit import RateLimit
from health_pipeline.review.schema import DESK_SESSION
from health_pipeline.settings import Settings

SECRET = "s" * 40
OWN_FOLDER = Path(__file__).parents[2] / "health_pipeline" / "review" / "desk"


def set_cookies(answer) -> list[str]:
    return answer.headers.get_list("set-cookie")


@pytest.fixture
def https_house(settings: Settings, ledger: Ledger, clock: SetClock) -> House:
    """A desk behind a proxy with TLS that signs people in."""
    values = {
        "sign_in": "proxy",
        "public_url": "https://desk.example.com",
        "proxy_secret": SECRET,
        "proxy_peers": ("10.0.0.5/32",),
    }
    return build_house(settings, ledger, clock, [packet_of(1, CSM)], values)


def proxied(email: str = CSM, secret: str = SECRET) -> dict[str, str]:
    return {"X-Forwarded-Email": email, "X-Desk-Proxy-Secret": secret}


# Cookies and tokens.


def test_the_session_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts(https_house: House) -> None:
    visitor = https_house.visitor("10.0.0.5", "https://desk.example.com")
    (cookie,) = set_cookies(visitor.get("/queue", headers=proxied()))
    name, _, rest = cookie.partition("=")
    assert name == "__Host-desk"
    attributes = {part.strip().lower() for part in rest.split(";")[1:]}
    assert attributes == {"httponly", "secure", "samesite=lax", "path=/"}


def test_a_loopback_demo_has_no_secure_cookie_and_is_otherwise_the_same(house: House) -> None:
    visitor = house.visitor()
    page = visitor.get("/sign-in")
    answer = visitor.post("/sign-in/demo", data={"csrf": hidden(page.text, "csrf"), "email": CSM})
    cookie = next(one for one in set_cookies(answer) if one.startswith("desk="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
    assert len(re.search("desk=([^;]+)", cookie)[1]) >= 43, "256 bits"


def test_the_database_holds_no_token(house: House) -> None:
    token = str(house.as_(CSM).cookies.get("desk"))
    with reading(house.ledger.engine) as connection:
        rows = [str(value) for row in connection.execute(select(DESK_SESSION)) for value in row]
    assert rows and not any(token in value for value in rows)


def test_signing_in_gives_a_new_token_and_ends_the_one_before(house: House) -> None:
    client = house.as_(CSM)
    before = client.cookies.get("desk")
    page = client.get("/sign-in")
    client.post("/sign-in/demo", data={"csrf": hidden(page.text, "csrf"), "email": CSM})
    assert client.cookies.get("desk") != before
    old = house.visitor()
    old.cookies.set("desk", before)
    assert old.get("/queue").status_code == 303


# Lifetimes and ends.


def test_a_session_ends_when_it_is_idle(house: House, clock: SetClock) -> None:
    assert house.as_(CSM).get("/queue").status_code == 200
    for _ in range(3):
        clock.pass_days(25 / 1440)
        assert house.as_(CSM).get("/queue").status_code == 200
    clock.pass_days(30 / 1440)
    assert house.as_(CSM).get("/queue").status_code == 303


def test_a_session_ends_after_its_longest_time_however_busy(house: House, clock: SetClock) -> None:
    answers = []
    for _ in range(31):
        answers.append(house.as_(CSM).get("/alive").status_code and house.as_(CSM).get("/queue").status_code)
        clock.pass_days(20 / 1440)
    assert answers == [200] * 30 + [303]


def test_signing_out_ends_the_session_on_the_server(house: House) -> None:
    client, token = house.as_(CSM), house.as_(CSM).cookies.get("desk")
    answer = house.post(CSM, "/sign-out")
    assert answer.headers["clear-site-data"] == '"cache"'
    client.cookies.set("desk", token)
    assert client.get("/queue").status_code == 303


def test_signing_out_everywhere_ends_all_of_ones_own_sessions(house: House) -> None:
    house.as_(CSM)
    other_browser = House(house.settings, house.ledger, house.desk, house.clock, house.app)
    assert other_browser.as_(CSM).get("/queue").status_code == 200
    assert house.as_(CSM).get("/sessions").text.count("since") >= 2
    house.as_(OTHER_CSM)
    house.post(CSM, "/sign-out/everywhere")
    assert other_browser.as_(CSM).get("/queue").status_code == 303
    assert house.as_(OTHER_CSM).get("/queue").status_code == 200


def test_a_person_ends_one_of_their_sessions_and_nobody_elses(house: House) -> None:
    second = House(house.settings, house.ledger, house.desk, house.clock, house.app)
    second.as_(CSM)
    theirs = hidden(house.as_(CSM).get("/sessions").text, "session_id")
    assert house.post(OTHER_CSM, "/sessions/end", session_id=theirs).status_code == 404
    assert second.as_(CSM).get("/queue").status_code == 200
    assert house.post(CSM, "/sessions/end", session_id=theirs).status_code == 303
    assert second.as_(CSM).get("/queue").status_code == 303


def test_an_admin_ends_a_users_sessions_and_switching_off_does_too(house: House) -> None:
    assert house.as_(CSM).get("/queue").status_code == 200
    house.post(ADMIN, "/users/sessions", email=CSM)
    assert house.as_(CSM).get("/queue").status_code == 303
    assert house.as_(OTHER_CSM).get("/queue").status_code == 200
    house.post(ADMIN, "/users", email=OTHER_CSM, name="Oth Er", role="csm", team="north")
    assert house.as_(OTHER_CSM).get("/queue").status_code == 303
    own = house.post(ADMIN, "/users", email=ADMIN, name="Ada Min", role="csm")
    assert own.status_code == 400 and house.ledger.person(ADMIN).role == "admin"


# Forms.


def test_a_form_without_the_sessions_token_is_refused(house: House) -> None:
    client = house.as_(CSM)
    version = house.ledger.case("pkt_1").version
    for token in ("", "x", house.csrf(LEAD)):
        assert client.post("/cases/pkt_1/start_review", data={"csrf": token}).status_code == 400
    assert house.ledger.case("pkt_1").version == version


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_the_token(house: House, headers: dict[str, str]) -> None:
    answer = house.as_(CSM).post("/sign-out", data={"csrf": house.csrf(CSM)}, headers=headers)
    assert answer.status_code == 400
    assert house.as_(CSM).get("/queue").status_code == 200


def test_a_sign_in_form_of_another_browser_is_refused(house: House) -> None:
    theirs = hidden(house.visitor().get("/sign-in").text, "csrf")
    victim = house.visitor()
    victim.get("/sign-in")
    answer = victim.post("/sign-in/demo", data={"csrf": theirs, "email": CSM})
    assert answer.status_code == 400 and victim.get("/queue").status_code == 303


def test_what_changes_something_is_never_a_get(house: House) -> None:
    for path in ("/cases/pkt_1/start_review", "/sign-out", "/bulk", "/users/sessions", "/sign-in/demo"):
        assert house.as_(LEAD).get(path).status_code in {404, 405}


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_only_a_form_is_read_as_a_form(house: House, kind: str) -> None:
    answer = house.as_(CSM).post("/sign-out", content=f"csrf={house.csrf(CSM)}", headers={"Content-Type": kind})
    assert answer.status_code == 400


def test_a_body_that_is_too_large_or_no_text_is_refused(house: House) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert house.as_(CSM).post("/sign-out", content="a=" + "x" * 1_100_000, headers=kind).status_code == 400
    assert (
        house.as_(CSM).post("/sign-out", content="&".join("a=b" for _ in range(4000)), headers=kind).status_code == 400
    )
    assert house.as_(CSM).post("/sign-out", content=b"a=\xff\xfe", headers=kind).status_code == 400


def test_posts_and_sign_ins_are_limited(settings: Settings, ledger: Ledger, clock: SetClock) -> None:
    values = {"posts_per_minute": 3, "sign_ins_per_minute": 2}
    house = build_house(settings, ledger, clock, [packet_of(1, CSM)], values)
    answers = [house.post(CSM, "/audit/verify").status_code for _ in range(4)]
    assert answers == [403, 403, 403, 429]
    visitor = house.visitor()
    answers = [visitor.post("/sign-in/demo", data={"csrf": "x"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_a_bucket_fills_evenly_and_is_full_at_its_limit() -> None:
    now = [0.0]
    limit = RateLimit(2, lambda: now[0])
    assert [limit.wait_seconds("a") for _ in range(3)] == [0, 0, 30]
    assert limit.wait_seconds("b") == 0
    now[0] = 30.0
    assert [limit.wait_seconds("a") for _ in range(2)] == [0, 30]
    now[0] = 3600.0
    assert [limit.wait_seconds("a") for _ in range(3)] == [0, 0, 30]


# Headers and content.


@pytest.mark.parametrize("path", ["/sign-in", "/queue", "/cases/pkt_1", "/nowhere", "/users", "/static/none.js"])
def test_every_answer_has_the_headers(house: House, path: str) -> None:
    answer = house.as_(CSM).get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    policy = dict(part.strip().partition(" ")[::2] for part in HEADERS["Content-Security-Policy"].split(";"))
    assert {policy[name] for name in ("default-src", "object-src", "base-uri", "frame-ancestors")} == {"'none'"}
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_tls_is_asked_for_for_good_where_there_is_tls(https_house: House) -> None:
    answer = https_house.visitor("10.0.0.5", "https://desk.example.com").get("/alive")
    assert answer.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"


def test_no_page_has_anything_inline_or_from_elsewhere() -> None:
    for path in (OWN_FOLDER / "templates").glob("*.j2"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:", text), path.name
        assert not re.search(r"https?://", text), path.name
        assert "|safe" not in text and "autoescape" not in text, path.name
    for path in (OWN_FOLDER / "static").glob("*"):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|innerHTML|insertAdjacentHTML|document\.write|\beval\(", text), (
            path.name
        )


def test_our_files_are_kept_by_the_hash_of_their_content(house: House) -> None:
    page = house.visitor().get("/sign-in").text
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        answer = house.visitor().get(address)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]


def test_what_people_write_is_text_everywhere(house: House) -> None:
    words = "<img src=x onerror=alert(1)> {{ 7*7 }} </textarea>"
    house.decide(CSM, "start_review")
    house.decide(CSM, "set_cause", cause_id="x", cause_state="suspected", note=words)
    for path in ("/cases/pkt_1", "/accounts/acc_000000000001"):
        html = house.as_(CSM).get(path).text
        assert "&lt;img src=x" in html and "<img" not in html and "49" not in html.partition("History")[2][:3000]
    answer = house.decide(CSM, "set_follow_up", follow_up_on=words)
    assert answer.status_code == 422 and "<img" not in answer.text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1+2", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("http://x","y")'])
def test_a_cell_that_a_spreadsheet_would_run_is_text(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


def test_the_csv_of_my_accounts_has_only_mine_and_no_formula(house: House) -> None:
    house.ledger.take_in("r2", [])
    text = house.as_(LEAD).get("/queue.csv?when=open").text
    assert "'=HYPERLINK(1)" in text and ",=HYPERLINK" not in text
    mine = house.as_(CSM).get(f"/queue.csv?when=open&owner={CSM}")
    assert mine.headers["content-disposition"].startswith("attachment")
    assert len(mine.text.strip().splitlines()) == 2 and "pkt_1" in mine.text


@pytest.mark.parametrize(
    "given",
    ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "javascript:x", "/a\nb", "/" + "x" * 600],
)
def test_a_sign_in_leads_on_only_inside_the_desk(given: str) -> None:
    assert own_path(given) == "/"
    assert own_path("/cases/pkt_1?severity=high") == "/cases/pkt_1?severity=high"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9", "127.0.0.1.evil.example:8600", ""])
def test_another_name_for_this_machine_is_refused(house: House, host: str) -> None:
    """A site whose name is made to point here would otherwise be this desk's origin."""
    assert house.visitor().get("/sign-in", headers={"Host": host}).status_code == 400
    assert house.visitor().get("/sign-in", headers={"Host": "localhost:8600"}).status_code == 200


# The ways of signing in.


def test_the_demo_sign_in_is_for_this_machine_alone(house: House) -> None:
    assert house.visitor("192.0.2.7").get("/sign-in").status_code == 403
    stolen = house.visitor("192.0.2.7")
    stolen.cookies.set("desk", str(house.as_(CSM).cookies.get("desk")))
    assert stolen.get("/queue").status_code == 303


def test_the_demo_sign_in_is_there_only_when_asked_for(https_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = https_house.visitor("10.0.0.5", "https://desk.example.com")
    assert visitor.post("/sign-in/demo", data={"email": CSM}).status_code == 404
    monkeypatch.setenv("HEALTH_DESK_SIGN_IN", "demo")
    with pytest.raises(DeskSetupError, match="--demo-sign-in"):
        desk_settings_of(8600, is_demo=False)


@pytest.mark.parametrize(
    "values, named",
    [
        ({}, "Nobody could sign in"),
        ({"sign_in": "demo", "public_url": "https://desk.example.com"}, "this machine alone"),
        ({"sign_in": "demo", "bind": "0.0.0.0"}, "this machine alone"),
        ({"sign_in": "oidc"}, "HEALTH_DESK_OIDC_ISSUER"),
        (
            {"sign_in": "oidc", "oidc_issuer": "http://idp.example", "oidc_client_id": "a", "oidc_client_secret": "b"},
            "by https",
        ),
        ({"sign_in": "proxy", "proxy_secret": "short", "proxy_peers": ("10.0.0.5",)}, "32 characters"),
        ({"sign_in": "proxy", "proxy_secret": SECRET}, "HEALTH_DESK_PROXY_PEERS"),
        ({"sign_in": "proxy", "proxy_secret": SECRET, "proxy_peers": ("nowhere",)}, "no address"),
        ({"sign_in": "demo", "public_url": "http://desk.example.com"}, "by https"),
        ({"sign_in": "demo", "record_links": {"zendesk": "http://z/{record}"}}, "zendesk"),
    ],
)
def test_a_desk_that_would_not_be_safe_does_not_start(values: dict[str, object], named: str) -> None:
    with pytest.raises(DeskSetupError, match=re.escape(named)):
        DeskSettings(**values).checked()


def test_the_proxy_is_believed_only_from_its_address_and_with_its_secret(https_house: House) -> None:
    base = "https://desk.example.com"
    assert https_house.visitor("10.0.0.5", base).get("/queue", headers=proxied()).status_code == 200
    for host, headers in (
        ("10.0.0.6", proxied()),
        ("10.0.0.5", proxied(secret="x" * 40)),
        ("10.0.0.5", proxied(secret="")),
        ("10.0.0.5", {"X-Forwarded-Email": CSM}),
        ("10.0.0.5", proxied(email="")),
        ("10.0.0.5", proxied(email=f"{CSM}, {LEAD}")),
        ("testclient", proxied()),
    ):
        answer = https_house.visitor(host, base).get("/queue", headers=headers)
        assert answer.status_code == 303, (host, headers)


def test_a_session_of_the_proxys_is_its_persons_and_of_no_use_without_the_proxy(https_house: House) -> None:
    visitor = https_house.visitor("10.0.0.5", "https://desk.example.com")
    visitor.get("/queue", headers=proxied())
    token = visitor.cookies.get("__Host-desk")
    assert token and visitor.get("/queue").status_code == 303
    # Another person's request with this cookie is the other person's.
    page = visitor.get("/queue", headers=proxied(LEAD))
    assert "Lea Der" in page.text and visitor.cookies.get("__Host-desk") != token
    assert visitor.get("/queue", headers=proxied("nobody@example.com")).status_code == 403
