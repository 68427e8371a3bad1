"""The desk in Debian's chromium: a CSM's morning by keyboard, an approval, a conflict, no JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from desk_house import House, build_house, free_port, next_key, packet_of, served, settle
from playwright.sync_api import Browser, BrowserContext, Page
from reviewing import ADMIN, ANALYST, CSM, LEAD, OTHER_CSM, SetClock, does, until_proposed
from stopping import stopped

from health_pipeline.review import Case, Ledger, OverrideRequest
from health_pipeline.review.database import writing
from health_pipeline.review.desk.routes import ROUTES
from health_pipeline.review.desk.stop_list import in_words
from health_pipeline.review.drawn_accounts import DrawnAccount
from health_pipeline.review.stop_rules import STOP_RULES
from health_pipeline.review.tokens import create_token
from health_pipeline.settings import Settings

# The script comes with the page, and only what is wrong comes back: half of the time axe takes is its report.
FIND_WRONG = """
() => axe.run(document, {resultTypes: ['violations']})
  .then((found) => found.violations.map((one) => [one.id, one.nodes[0].html.slice(0, 300)]))
"""


DRAWN = DrawnAccount("acc_000000000001", date(2026, 11, 9), datetime(2026, 11, 16, tzinfo=UTC), CSM, 0.02)


@pytest.fixture
def served_house(settings: Settings, clock: SetClock) -> Iterator[House]:
    """Five cases of the CSM's behind a real server, the most severe and most valuable first."""
    with Ledger.open(settings, clock) as ledger:
        values = (140_000, 90_000, 60_000, 9_000, 2_000)
        packets = [packet_of(number, CSM, value) for number, value in enumerate(values, 1)]
        own = {"public_url": f"http://127.0.0.1:{free_port()}"}
        house = build_house(settings, ledger, clock, packets, own)
        with served(house):
            yield house


def signed_in(browser: Browser, house: House, email: str, **context: object) -> tuple[BrowserContext, Page]:
    """A window of that person's, at the queue; every request it makes must be to the desk."""
    origin = house.desk.settings.origin
    window = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
    page = window.new_page()
    page.set_default_timeout(8_000)
    page.on("request", lambda request: None if request.url.startswith(origin) else pytest.fail(request.url))
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("console", lambda said: pytest.fail(said.text) if "Content Security Policy" in said.text else None)
    # The sign-in page itself is gone through once, in the test without JavaScript.
    name, token = house.desk.cookie, str(house.as_(email, origin).cookies.get(house.desk.cookie))
    window.add_cookies([{"name": name, "value": token, "url": origin}])
    page.goto(f"{origin}/")
    page.wait_for_selector(".who")
    return window, page


def focused(page: Page) -> str:
    """Text of what has the focus."""
    return str(page.evaluate("document.activeElement.innerText || document.activeElement.name"))


def test_a_csms_morning_by_keyboard(browser: Browser, served_house: House) -> None:
    house = served_house
    window, page = signed_in(browser, house, CSM)
    keyboard = page.keyboard
    assert page.locator("h1").inner_text() == "5 cases wait."
    keyboard.press("j")
    first = focused(page)
    keyboard.press("j")
    keyboard.press("k")
    assert focused(page) == first
    keyboard.press("Enter")
    page.wait_for_url("**/cases/pkt_1")
    # Taken up, its severity confirmed, escalation decided: each form by its letter or by Tab, each sent by Enter.
    keyboard.press("r")
    assert focused(page) == "Start the review"
    keyboard.press("Enter")
    page.wait_for_selector("text=recorded for")
    for summary, keys in (
        ("Confirm the severity", ["c", "Tab", "Tab", "Enter"]),
        ("Decide on escalation", ["n", "Tab", "Tab", "k", "n", "o", "w", "n", "Tab", "Enter"]),
    ):
        page.locator("summary", has_text=summary).focus()
        keyboard.press("Enter")
        keyboard.press("Tab")
        for key in keys:
            keyboard.press(key)
        page.wait_for_selector(f"text={summary}: recorded")
    # A proposal: options are marked by Space; nothing was chosen beforehand.
    keyboard.press("a")
    keyboard.press("Tab")
    assert focused(page) == "mitigations" and page.locator("input[name=mitigations]:checked").count() == 0
    keyboard.press("Space")
    page.locator("#propose-follow_up_on").fill("2026-12-01")
    page.locator("#propose-reason").focus()
    keyboard.type("j and k are letters here; the sponsor is gone.")
    page.locator("details[open] button", has_text="Propose an action").focus()
    keyboard.press("Enter")
    page.wait_for_selector("text=Propose an action: recorded")
    case = house.ledger.case("pkt_1")
    assert (case.state, case.severity, case.escalation) == ("proposed", "critical", "not_needed")
    assert case.proposal is not None and len(case.proposal.mitigations) == 1
    # The next one is deferred, the one after it dismissed: the same letter goes from form to form.
    keyboard.press("j")
    page.wait_for_url("**/cases/*")
    page.wait_for_function("!location.pathname.endsWith('pkt_1')")
    second = page.url.rpartition("/")[2]
    keyboard.press("d")
    page.locator("#defer-until").fill("2026-12-03")
    page.locator("#defer-reason").fill("They close the quarter.")
    page.locator("details[open] button", has_text="Defer").press("Enter")
    page.wait_for_selector("text=Defer: recorded")
    assert house.ledger.case(second).state == "deferred"
    page.goto(f"{house.desk.settings.origin}/cases/pkt_5")
    keyboard.press("d")
    keyboard.press("d")
    page.locator("#dismiss-reason_code").select_option("benign_explanation")
    page.locator("#dismiss-reason").fill("A season.")
    page.locator("details[open] button", has_text="Dismiss").press("Enter")
    page.wait_for_selector("text=Dismiss as a false positive: ")
    keyboard.press("Shift+?")
    assert page.locator("dialog[open]").count() == 1
    keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    window.close()


@pytest.mark.long
def test_the_brief_prints_on_one_page_of_a4(browser: Browser, served_house: House) -> None:
    window, page = signed_in(browser, served_house, CSM)
    page.goto(f"{served_house.desk.settings.origin}/cases/pkt_1/brief")
    assert page.locator("h2").count() >= 10
    printed = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    window.close()


def test_keys_can_be_switched_off_and_never_act_in_a_field(browser: Browser, served_house: House) -> None:
    window, page = signed_in(browser, served_house, CSM)
    page.locator("#f-account").focus()
    page.keyboard.type("jkx?")
    assert page.locator("#f-account").input_value() == "jkx?"
    page.goto(f"{served_house.desk.settings.origin}/rules")
    page.locator("main #keys-off, #keys-off").first.check()
    page.goto(f"{served_house.desk.settings.origin}/queue")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    window.close()


def test_a_lead_approves(browser: Browser, served_house: House) -> None:
    house = served_house
    until_proposed(house.ledger, "pkt_1", "critical", mitigations="support_review", touches="customer", reason="Now.")
    settle(house.ledger)
    window, page = signed_in(browser, house, LEAD)
    page.locator("a", has_text="Northwind").first.click()
    assert "Now." in page.locator(".past").inner_text()
    assert page.locator(".stops li.stops").count() == 0
    page.keyboard.press("a")
    page.keyboard.press("Tab")
    page.keyboard.type("Agreed.")
    page.locator("details[open] button", has_text="Approve").press("Enter")
    page.wait_for_selector("text=Approve: recorded")
    approval = house.ledger.case("pkt_1").approval
    assert approval is not None and (approval.approved_by, approval.four_eyes) == (LEAD, "second_person")
    assert "holds until" in page.locator(".proposal").inner_text()
    window.close()


def test_two_people_at_one_case(browser: Browser, served_house: House) -> None:
    house = served_house
    does(house.ledger, "start_review", case_id="pkt_1")
    window, page = signed_in(browser, house, CSM)
    page.goto(f"{house.desk.settings.origin}/cases/pkt_1")
    page.keyboard.press("a")
    page.locator("input[name=mitigations]").first.check()
    page.locator("#propose-follow_up_on").fill("2026-12-01")
    page.locator("#propose-reason").fill("Long thought about:\nthe export must work.")
    does(house.ledger, "set_follow_up", LEAD, "pkt_1", follow_up_on="2026-11-27")
    # Told before it is sent.
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.wait_for_selector("#changed:not([hidden])")
    assert page.locator("#propose-reason").input_value().startswith("Long thought")
    # And held by the server when it is sent all the same.
    page.locator("details[open] button", has_text="Propose").click()
    page.wait_for_selector("#returned")
    assert "Somebody was faster" in page.locator("#returned").inner_text()
    assert "Lea Der set the follow-up date" in page.locator("#returned").inner_text()
    assert page.locator("#propose-reason").input_value() == "Long thought about:\nthe export must work."
    assert page.locator("input[name=mitigations]:checked").count() == 1
    assert house.ledger.case("pkt_1").proposal is None
    page.locator("details[open] button", has_text="Propose an action").click()
    page.wait_for_selector("text=Propose an action: recorded")
    assert house.ledger.case("pkt_1").state == "proposed"
    window.close()


def test_a_text_is_not_lost_where_its_action_is_not_possible_any_more(browser: Browser, served_house: House) -> None:
    house = served_house
    does(house.ledger, "start_review", case_id="pkt_5")
    window, page = signed_in(browser, house, CSM)
    page.goto(f"{house.desk.settings.origin}/cases/pkt_5")
    page.keyboard.press("d")
    page.locator("#defer-until").fill("2026-12-01")
    page.locator("#defer-reason").fill("Words I had chosen.")
    does(house.ledger, "dismiss", LEAD, "pkt_5", reason_code="duplicate", reason="the same")
    page.locator("details[open] button", has_text="Defer").click()
    page.wait_for_selector("#returned")
    assert page.locator(".lost textarea").input_value() == "Words I had chosen."
    window.close()


def test_without_javascript(browser: Browser, served_house: House) -> None:
    house = served_house
    window, page = signed_in(browser, house, CSM, java_script_enabled=False)
    page.locator("button", has_text="Sign out").click()
    page.click(f'button[value="{CSM}"]')
    page.locator("tr[data-row] a").first.click()
    page.locator("summary", has_text="Start the review").click()
    page.locator("button", has_text="Start the review").click()
    assert house.ledger.case("pkt_1").state == "in_review"
    page.goto(f"{house.desk.settings.origin}/queue")
    for box in page.locator("input[name=case_id]").all()[1:3]:
        box.check()
    page.locator("#b-action").select_option("defer")
    page.locator("#b-until").fill("2026-12-03")
    page.locator("#b-reason").fill("Fair week")
    page.locator("button", has_text="Preview").click()
    assert "Defer: 2 cases." in page.locator("h1").inner_text()
    assert house.ledger.case("pkt_2").state == "detected"
    page.locator("button.main").click()
    assert "recorded for 2 cases" in page.locator(".notices").inner_text()
    assert [house.ledger.case(f"pkt_{number}").state for number in (2, 3)] == ["deferred", "deferred"]
    page.locator("button", has_text="Sign out").click()
    assert page.url.endswith("/sign-in")
    window.close()


@pytest.mark.long
@pytest.mark.parametrize("has_script", [True, False])
def test_what_was_found_on_an_account_drawn_at_random(browser: Browser, served_house: House, has_script: bool) -> None:
    house = served_house
    house.ledger.take_in("r1", [], [DRAWN])
    window, page = signed_in(browser, house, CSM, java_script_enabled=has_script)
    page.goto(f"{house.desk.settings.origin}/queue?state=drawn")
    page.locator("tr[data-row] a").first.click()
    page.wait_for_url("**/cases/*")
    if has_script:
        page.keyboard.press("r")
        assert focused(page).startswith("A risk was there that nothing flagged")
    else:
        page.locator("summary", has_text="A risk was there that nothing flagged").click()
    page.locator("#find_missed_risk-missed_category").select_option("support")
    page.locator("#find_missed_risk-missed_signal").select_option("unresolved_tickets")
    page.locator("#find_missed_risk-reason").fill("Three calls about one defect.")
    page.locator("details[open] button", has_text="A risk was there").press("Enter")
    page.wait_for_selector("text=A risk was there that nothing flagged: recorded")
    audit = house.ledger.case(DRAWN.case_id).audit
    assert audit is not None and (audit.finding, audit.signal_id) == ("missed_risk", "unresolved_tickets")
    # Put right, by the other way.
    page.keyboard.press("a") if has_script else page.locator("summary", has_text="No risk was there").click()
    page.locator("details[open] button", has_text="No risk was there").press("Enter")
    page.wait_for_selector("text=No risk was there: recorded")
    audit = house.ledger.case(DRAWN.case_id).audit
    assert audit is not None and audit.finding == "no_risk"
    window.close()


PAGES = {
    CSM: (
        "/queue",
        f"/cases/{DRAWN.case_id}",
        "/cases/pkt_2",
        "/cases/pkt_2/brief",
        "/cases/pkt_2/evidence/t1-2",
        "/accounts/acc_000000000001",
        "/sessions",
    ),
    LEAD: ("/cases/pkt_1", "/overrides", "/metrics", "/audit", "/rules", "/actions"),
    ANALYST: ("/cases/pkt_1",),
    ADMIN: ("/users", "/tokens"),
}
# Each kind of page once: by one person, in one of the two.
EACH_KIND_ONCE = {
    CSM: ("dark", 390, ("/queue", "/cases/pkt_1", "/sessions", "/accounts/acc_000000000001")),
    LEAD: (
        "light",
        1280,
        (
            "/overrides",
            "/actions",
            "/metrics",
            "/audit",
            "/rules",
            "/cases/pkt_2/brief",
            "/cases/pkt_2/evidence/t1-2",
            f"/cases/{DRAWN.case_id}",
        ),
    ),
    ADMIN: ("light", 1280, ("/users", "/tokens")),
}


def until_there_is_something_on_every_page(house: House) -> None:
    until_proposed(house.ledger, "pkt_1", "critical", mitigations="support_review", reason="Now.")
    does(house.ledger, "set_cause", case_id="pkt_1", cause_id="sponsor_gone", cause_state="suspected", note="A note.")
    settle(house.ledger, "pkt_2")
    until_proposed(house.ledger, "pkt_2", "critical", mitigations="support_review", reason="Now.")
    does(house.ledger, "approve", LEAD, "pkt_2")
    house.ledger.take_in("r1", [], [DRAWN])
    asked = OverrideRequest("request_override", CSM, "k-1", "acc_000000000001", "watch", date(2026, 12, 1), "Migrates.")
    house.ledger.override(asked)
    with writing(house.ledger.engine) as connection:
        create_token(connection, "crm-sync", 90, ADMIN, house.clock.now())


def assert_sound(browser: Browser, house: House, email: str, scheme: str, width: int, paths: tuple[str, ...]) -> None:
    """Nothing found by axe, nothing wider than the window, and printed without what is for clicking."""
    window, page = signed_in(browser, house, email, color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 860})
    window.add_init_script(path=AXE_FILE_PATH)
    for path in paths:
        page.goto(house.desk.settings.origin + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.name = ''; one.open = true; })")
        assert page.evaluate(FIND_WRONG) == [], path
        page.emulate_media(media="print")
        assert page.locator("nav").is_hidden() and page.locator("h1").is_visible()
        page.emulate_media(media="screen")
    window.close()


def test_axe_finds_nothing(browser: Browser, served_house: House) -> None:
    until_there_is_something_on_every_page(served_house)
    for email, (scheme, width, paths) in EACH_KIND_ONCE.items():
        assert_sound(browser, served_house, email, scheme, width, paths)


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_in_any_scheme_and_width(
    browser: Browser, served_house: House, scheme: str, width: int
) -> None:
    until_there_is_something_on_every_page(served_house)
    for email, paths in PAGES.items():
        assert_sound(browser, served_house, email, scheme, width, paths)


def test_every_kind_of_page_is_in_both_lists() -> None:
    """By the desk's own table of routes: a new page is looked at, or the test says so."""
    shown = {path for *_, paths in EACH_KIND_ONCE.values() for path in paths}
    all_shown = {path for paths in PAGES.values() for path in paths}
    for route in ROUTES:
        is_page = route.method == "GET" and not route.path.endswith((".csv", "/version", "/alive", "{name}"))
        if is_page and route.needs not in {"anyone", "token"} and route.path != "/":
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", route.path))
            assert any(pattern.fullmatch(path) for path in shown), route.path
            assert any(pattern.fullmatch(path) for path in all_shown), route.path


# Every stop rule, in the browser: with its form where the page has one, else with one that somebody made up.

CRAFT = """
([path, fields]) => {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = path;
  const csrf = document.querySelector('input[name=csrf]').value;
  for (const [name, value] of Object.entries({csrf, ...fields})) {
    const field = document.createElement('input');
    field.name = name;
    field.value = value;
    form.append(field);
  }
  document.body.append(form);
  form.submit();
}
"""


def send(page: Page, case: Case, action: str, asked: dict[str, str], by_hand: bool) -> None:
    """Fill the page's own form and press its button; make one where it has none, or can't say what is asked."""
    form = page.locator(f'form[action="/cases/{case.case_id}/{action}"]')
    if by_hand and form.count():
        form.evaluate("one => { one.closest('details').open = true; }")
        for name, value in asked.items():
            field = form.locator(f'[name="{name}"]').first
            kind = field.evaluate("one => one.type")
            if kind == "checkbox":
                form.locator(f'[name="{name}"][value="{value}"]').check()
            elif kind == "hidden":
                field.evaluate("(one, value) => { one.value = value; }", value)
            elif kind.startswith("select"):
                field.select_option(value)
            else:
                field.fill(value)
        form.locator("button").click()
    else:
        own = {"case_version": str(case.version), "packet_hash": case.packet_hash, "idempotency_key": next_key()}
        page.evaluate(CRAFT, [f"/cases/{case.case_id}/{action}", own | asked])
    page.wait_for_selector("#returned")


# What the page's own form can't say: nobody is offered these.
MADE_UP = {"not_permitted", "state_forbids", "no_approval", "not_confirmed_by_evidence", "customer_is_there"}


@pytest.mark.long
@pytest.mark.parametrize("rule_id", sorted(STOP_RULES))
def test_every_stop_rule_stops_in_the_browser(
    browser: Browser, settings: Settings, clock: SetClock, rule_id: str
) -> None:
    with Ledger.open(settings, clock) as ledger:
        packets = [packet_of(1, CSM), packet_of(2, OTHER_CSM, 9_000), packet_of(3, None)]
        house = build_house(settings, ledger, clock, packets, {"public_url": f"http://127.0.0.1:{free_port()}"})
        person, asked = stopped(house, clock, rule_id)
        action, case_id = asked.pop("action"), asked.pop("case_id", "pkt_1")
        with served(house):
            window, page = signed_in(browser, house, person)
            page.goto(f"{house.desk.settings.origin}/cases/{case_id}")
            send(page, ledger.case(case_id), action, asked, by_hand=rule_id not in MADE_UP)
            newest = ledger.events(case_id)[-1]
            assert (newest.type, newest.actor) == ("refused_by_stop_rule", person)
            rule = next(one for one in newest.payload["rules"] if one["rule_id"] == rule_id)
            said = page.locator("#returned").inner_text()
            assert in_words(rule["reason"]) in said and f"Released by: {rule['released_by']}" in said
            # What was typed is still there, whether or not the form is.
            assert page.locator("textarea").evaluate_all("all => all.map(one => one.value)").count("Typed.") == 1
            window.close()
