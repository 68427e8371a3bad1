"""The desk in Debian's chromium: a CSM's morning by keyboard, an approval, a conflict, no JavaScript."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from desk_house import House, build_house, free_port, packet_of, served, settle
from playwright.sync_api import Browser, BrowserContext, Page
from reviewing import ADMIN, ANALYST, CSM, LEAD, SetClock, does, until_proposed

from health_pipeline.review import Ledger
from health_pipeline.settings import Settings

AXE = Axe()


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
    page.goto(f"{origin}/sign-in")
    page.click(f'button[value="{email}"]')
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
    assert "Now." in page.locator(".history").inner_text()
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


PAGES = {
    CSM: ("/queue", "/cases/pkt_2", "/cases/pkt_2/evidence/t1-2", "/accounts/acc_000000000001", "/sessions"),
    LEAD: ("/cases/pkt_1", "/metrics", "/audit", "/rules"),
    ANALYST: ("/cases/pkt_1",),
    ADMIN: ("/users",),
}


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(browser: Browser, served_house: House, scheme: str, width: int) -> None:
    house = served_house
    until_proposed(house.ledger, "pkt_1", "critical", mitigations="support_review", reason="Now.")
    does(house.ledger, "set_cause", case_id="pkt_1", cause_id="sponsor_gone", cause_state="suspected", note="A note.")
    for email, paths in PAGES.items():
        window, page = signed_in(browser, house, email, color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 860})
        for path in paths:
            page.goto(house.desk.settings.origin + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.name = ''; one.open = true; })")
            found = AXE.run(page, options={"resultTypes": ["violations"]}).response["violations"]
            assert not found, (path, [(one["id"], one["nodes"][0]["html"][:300]) for one in found])
            page.emulate_media(media="print")
            assert page.locator("nav").is_hidden() and page.locator("h1").is_visible()
            page.emulate_media(media="screen")
        window.close()
