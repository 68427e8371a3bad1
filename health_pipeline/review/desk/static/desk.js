// The desk's one script: keys, the notice that a case has changed, marking all rows. Every page works without it.
"use strict";

const KEYS_OFF = "desk-keys-off";

const isTyping = (element) => element.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
const areKeysOff = () => localStorage.getItem(KEYS_OFF) === "yes";

// Rows of a queue: J and K move the focus over their links.
const moveInRows = (step) => {
  const links = [...document.querySelectorAll("tr[data-row] a")];
  if (links.length === 0) return false;
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = links[Math.min(Math.max(at + step, 0), links.length - 1)];
  next.focus();
  next.closest("tr").scrollIntoView({ block: "nearest" });
  return true;
};

const moveBetweenCases = (key) => {
  const link = document.querySelector(`a[data-go="${key}"]`);
  if (link) link.click();
};

// A form of a letter: opened, with the focus before its first field, so that the same letter again goes to the next form.
// Where nothing is to be filled in, the focus is on the button. Never sent by a letter.
const openForm = (key) => {
  const forms = [...document.querySelectorAll(`details[data-key="${key}"]`)];
  if (forms.length === 0) return;
  const at = forms.findIndex((form) => form.open && form.contains(document.activeElement));
  const next = forms[(at + 1) % forms.length];
  next.open = true;
  const hasFields = next.querySelector("form input:not([type=hidden]), form textarea, form select") !== null;
  next.querySelector(hasFields ? "summary" : "form button").focus();
  next.scrollIntoView({ block: "nearest" });
};

const mark = () => {
  const row = document.activeElement.closest("tr[data-row]");
  const box = row && row.querySelector("input[type=checkbox]");
  if (box) box.checked = !box.checked;
};

const showKeys = () => {
  const dialog = document.getElementById("keys");
  if (dialog && !dialog.open) dialog.showModal();
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  // Out of a field the letters count again.
  if (event.key === "Escape" && isTyping(event.target)) return void event.target.closest("details")?.querySelector("summary")?.focus();
  if (isTyping(event.target) || areKeysOff() || document.querySelector("dialog[open]")) return;
  const key = event.key.toLowerCase();
  if (key === "?") showKeys();
  else if (key === "j" || key === "k") moveInRows(key === "j" ? 1 : -1) || moveBetweenCases(key);
  else if (key === "x") mark();
  else if (key === "a" || key === "r" || key === "d") openForm(key);
  else return;
  event.preventDefault();
});

// What needs this script shows itself only where it runs.
for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;
for (const box of document.querySelectorAll("#keys-off")) {
  box.checked = areKeysOff();
  box.addEventListener("change", () => localStorage.setItem(KEYS_OFF, box.checked ? "yes" : "no"));
}

// What came back from the server is read first.
document.getElementById("returned")?.focus();

// A case somebody else has changed: said before anything is sent. The server checks again in any case.
const changed = document.getElementById("changed");
const SECONDS_BETWEEN_LOOKS = 20;
const look = async () => {
  if (document.hidden || !changed.hidden) return;
  const answer = await fetch(`/cases/${changed.dataset.case}/version`, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer || !answer.ok || answer.redirected) return;
  const now = await answer.json();
  if (String(now.version) === changed.dataset.version) return;
  changed.querySelector("span").textContent = `It is ${now.state} now.`;
  changed.hidden = false;
};
if (changed) {
  setInterval(look, SECONDS_BETWEEN_LOOKS * 1000);
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", look);
}
