"""Every address of the desk with who may go there: the one table the app is made of, and its test goes through."""

from __future__ import annotations

from health_pipeline.review.desk.access import Route
from health_pipeline.review.desk.action_feed import FEED_PATH
from health_pipeline.review.desk.oidc import CALLBACK_PATH
from health_pipeline.review.desk.pages import actions, bulk, cases, looking, overrides, queue, sign_in, tokens, users

ROUTES: tuple[Route, ...] = (
    Route("GET", "/static/{name}", "anyone", queue.static_file),
    Route("GET", "/alive", "anyone", queue.alive),
    Route("GET", "/sign-in", "anyone", sign_in.sign_in_page),
    Route("GET", "/sign-in/begin", "anyone", sign_in.begin_oidc),
    Route("GET", CALLBACK_PATH, "anyone", sign_in.finish_oidc),
    Route("POST", "/sign-in/demo", "anyone", sign_in.demo_sign_in),
    Route("GET", "/", "signed_in", queue.home),
    Route("GET", "/sessions", "signed_in", sign_in.sessions_page),
    Route("POST", "/sessions/end", "signed_in", sign_in.end_one_session),
    Route("POST", "/sign-out", "signed_in", sign_in.sign_out),
    Route("POST", "/sign-out/everywhere", "signed_in", sign_in.sign_out_everywhere),
    Route("GET", "/rules", "signed_in", looking.rules_page),
    Route("GET", "/queue", "view", queue.queue_page),
    Route("GET", "/queue.csv", "view", queue.queue_csv),
    Route("POST", "/bulk/preview", "assign", bulk.preview),
    Route("POST", "/bulk", "assign", bulk.record),
    Route("GET", "/cases/{case_id}", "view", cases.case_page, "case"),
    Route("GET", "/cases/{case_id}/brief", "view", cases.brief_page, "case"),
    Route("GET", "/cases/{case_id}/version", "view", cases.version, "case"),
    Route("GET", "/cases/{case_id}/evidence/{evidence_id}", "view", cases.evidence_page, "case"),
    # Who may decide is the ledger's to say: it refuses, and records that it did.
    Route("POST", "/cases/{case_id}/{action}", "signed_in", cases.decide, "case"),
    Route("GET", "/accounts/{account_id}", "view", looking.account_page, "account"),
    Route("POST", "/accounts/{account_id}/overrides", "request_override", overrides.act, "account"),
    Route("GET", "/overrides", "view", overrides.overrides_page),
    Route("GET", "/actions", "view", actions.actions_page),
    Route("GET", "/actions.csv", "view", actions.actions_csv),
    Route("GET", FEED_PATH, "token", actions.feed),
    Route("GET", f"{FEED_PATH}.csv", "token", actions.feed_csv),
    Route("GET", f"{FEED_PATH}/{{action_id}}", "token", actions.one_action),
    Route("GET", "/metrics", "view", looking.metrics_page),
    Route("GET", "/audit", "verify_ledger", looking.audit_page),
    Route("POST", "/audit/verify", "verify_ledger", looking.verify_chain),
    Route("GET", "/users", "manage_users", users.users_page),
    Route("POST", "/users", "manage_users", users.set_user),
    Route("POST", "/users/sessions", "manage_users", users.end_user_sessions),
    Route("POST", "/users/identity", "manage_users", users.free_identity),
    Route("GET", "/tokens", "manage_users", tokens.tokens_page),
    Route("POST", "/tokens/revoke", "manage_users", tokens.revoke),
    Route("POST", "/rules/four-eyes", "switch_four_eyes", users.switch_four_eyes),
)
