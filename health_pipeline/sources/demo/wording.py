"""What people write: subjects and bodies of tickets, replies, survey comments and notes, by what is behind them."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple


class Wording(NamedTuple):
    """A ticket's text, with `{feature}` to be filled in."""

    about: str
    type: str
    subject: str
    body: str


TICKETS: tuple[Wording, ...] = (
    Wording("ordinary", "question", "How do I use {feature}?", "Could you point us to the guide for {feature}?"),
    Wording("ordinary", "question", "Question about {feature}", "Is there a way to filter {feature} by team?"),
    Wording("ordinary", "task", "New users for {feature}", "Please add two colleagues to {feature}, thank you."),
    Wording("ordinary", "question", "Invoice copy", "Could you send us last month's invoice again?"),
    Wording("defect", "bug", "{feature} shows an error", "Since yesterday {feature} stops with an error message."),
    Wording("defect", "bug", "{feature} is slow", "Loading {feature} takes more than a minute for all of us."),
    Wording("defect", "incident", "{feature} is down", "Nobody here can open {feature}. This blocks our month end."),
    Wording("defect", "bug", "Wrong figures in {feature}", "The totals in {feature} do not match our own records."),
    Wording(
        "storm",
        "incident",
        "{feature} fails again",
        "This is the third time this month that {feature} fails. We are losing trust.",
    ),
    Wording(
        "storm",
        "bug",
        "{feature} broken after the update",
        "Since the update {feature} loses our entries. We had to go back to spreadsheets.",
    ),
    Wording(
        "storm",
        "incident",
        "Urgent: {feature} unusable",
        "{feature} is unusable for the whole team. We need a date for a fix.",
    ),
    Wording(
        "no_value",
        "question",
        "Workaround for {feature}",
        "We use a workaround with spreadsheets because {feature} does not fit our process.",
    ),
    Wording(
        "no_value",
        "task",
        "Export everything from {feature}",
        "We still do this by hand outside the tool. Is there a workaround to get all data out?",
    ),
    Wording(
        "no_value",
        "question",
        "What is {feature} for?",
        "After months we still do not see what {feature} gives us. For now we found a workaround.",
    ),
    Wording(
        "competitor",
        "question",
        "Export of all our data",
        "Which formats can all our data be exported in? We are evaluating alternatives.",
    ),
    Wording(
        "competitor",
        "question",
        "Contract terms",
        "What is the notice period of our contract? We are comparing vendors.",
    ),
    Wording(
        "migration",
        "task",
        "Planned migration and {feature}",
        "We move to a new tenant as planned; {feature} will be quiet until it is done.",
    ),
    Wording(
        "automation",
        "question",
        "Limits of {feature}",
        "We are loading our archive through the interface this month. Are there limits?",
    ),
    Wording(
        "rollout",
        "question",
        "How do new users start with {feature}?",
        "Our new team starts with {feature} this week. Where do they find the guide?",
    ),
    Wording(
        "rollout",
        "question",
        "Rights for {feature}",
        "We are rolling out to a second site. Which rights does a planner need for {feature}?",
    ),
    Wording(
        "rollout",
        "task",
        "Training on {feature}",
        "The roll-out goes well. Could somebody show {feature} to twelve new colleagues?",
    ),
    Wording(
        "growth",
        "question",
        "More teams on {feature}",
        "Two more departments want to use {feature}. How do we add seats?",
    ),
)
TICKET_KINDS = tuple(dict.fromkeys(ticket.about for ticket in TICKETS))
TICKET_TYPES = [wording.type for wording in TICKETS]


class TicketTexts(NamedTuple):
    """One text per wording and subject: a text's code is the wording's place times the number of subjects + subject."""

    subjects: list[str]
    bodies: list[str]


@cache
def ticket_texts(about: tuple[str, ...]) -> TicketTexts:
    """The texts of tickets about those subjects."""
    readable = [subject.replace("_", " ") for subject in about]
    return TicketTexts(
        [wording.subject.format(feature=subject).capitalize() for wording in TICKETS for subject in readable],
        [f"Hello, {wording.body.format(feature=subject)}" for wording in TICKETS for subject in readable],
    )


AGENT_REPLIES = (
    "Thank you for writing. We are looking into it and will come back to you today.",
    "We could reproduce this and passed it on to the product team.",
    "This setting is under Administration; here is the guide.",
    "A fix is planned for the next release. We will tell you when it is out.",
)
CUSTOMER_REPLIES = (
    "Thank you, that solved it.",
    "It still happens. Could you have another look?",
    "We use a workaround for now.",
    "Any news on this?",
)
INTERNAL_REMARKS = ("Linked to a known defect.", "Checked with engineering.", "Asked for logs.")

SURVEY_COMMENTS: dict[str, tuple[str, ...]] = {
    "detractor": (
        "We expected more for the price.",
        "Too many errors, and it takes long until somebody helps.",
        "We do not see the value yet.",
    ),
    "passive": ("Does its job.", "Fine, but the reports could be better.", "Good support, the product is okay."),
    "promoter": ("Saves us hours every week.", "The team loves it.", "Great support and steady improvements."),
}

# What notes are about: subject and body by theme.
NOTES: dict[str, tuple[tuple[str, str], ...]] = {
    "routine": (
        ("Regular call", "Went through open topics. Next call in two weeks."),
        ("Status email", "Sent the monthly summary; no open questions."),
        ("Working session", "Set up two reports together with the team."),
    ),
    "good": (
        ("Progress review", "The team reached its goal for the quarter and wants to show it to the board."),
        ("Call with the champion", "Very happy with the results; offered to be a reference."),
    ),
    "sponsor_left": (
        ("Champion left", "Our champion left the company. No successor has been named yet."),
        ("Who is the new contact?", "The sponsor is gone; the new manager has not answered two emails."),
    ),
    "no_show": (
        ("Sponsor did not attend", "The sponsor was invited and did not attend, for the third time."),
        ("Review without the sponsor", "Only users joined. They log in every week and work around the tool."),
    ),
    "defects": (
        ("Escalation call", "The customer is upset about repeated errors and asks for a plan."),
        ("Quality review", "Went through open defects; two of them block the month end."),
    ),
    "payment": (
        ("Open invoices", "Accounting says the budget is frozen; invoices stay open for now."),
        ("Budget", "The customer is cutting costs and asked for a payment plan."),
    ),
    "competitor": (
        ("Competitor mentioned", "They are evaluating alternatives and had a demo from a competitor."),
        ("Pricing discussion", "Procurement compares our price with another vendor's offer."),
    ),
    "delivery": (
        ("Go-live moved", "Go-live is postponed again; the integration is not ready."),
        ("Project review", "The project is behind the plan and the customer is losing patience."),
    ),
    "migration": (
        ("Planned migration", "The customer moves to a new workspace; use of the old one will end, as planned."),
        ("Migration on schedule", "Half of the users are in the new workspace. Nothing is lost."),
    ),
    "holiday": (("Company holidays", "The plant is closed for holidays; back in three weeks."),),
    "automation": (
        ("Interface in production", "Entries come through the interface now, so people log in less. As agreed."),
        ("Automation review", "The robot does the daily entries; the team only looks at exceptions."),
    ),
    "leave": (
        ("Champion on leave", "Our champion is on parental leave until further notice; a deputy joins the calls."),
        ("Call with the deputy", "The deputy stands in during the leave and knows the open topics."),
    ),
    "rollout": (
        ("Roll-out to the second site", "The roll-out is on plan; many first questions, as expected."),
        ("Training for new users", "Twelve new users trained. They write to support a lot, and get along."),
    ),
    "bank": (
        ("New bank account", "The customer changed its bank; the open invoice follows with the new details."),
        ("Open invoice", "Accounting waits for the new mandate; the amount is not disputed."),
    ),
    "kept": (
        ("Competitor looked at", "They had a demo from a competitor, as procurement asks for; the team wants to stay."),
        ("Comparison finished", "Procurement compared vendors and recommends to renew with us."),
    ),
    "agreed_move": (
        ("Go-live moved at the customer's wish", "The customer asked to go live after its peak season; agreed."),
        ("Plan agreed anew", "The steering committee agreed on the new date; scope and budget are unchanged."),
    ),
    "narrow": (
        ("Goal check", "They use two functions only, and these save them two days a month: the goal is reached."),
        ("Progress review", "One process, done well. The sponsor is satisfied and plans nothing more for now."),
    ),
    "growth": (
        ("More departments", "Two more departments want to join; they asked for a quote for more seats."),
    ),
}  # fmt: skip
NOTE_THEMES = tuple(NOTES)
NOTE_TEXTS = [(theme, subject, body) for theme, texts in NOTES.items() for subject, body in texts]
