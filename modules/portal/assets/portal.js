// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Every page works without this module: it shows times in the reader's own zone,
// counts down, reveals a password, and stops a form from being sent twice.

const loaded = Date.now();
const server = Date.parse(document.body.dataset.now ?? "");
const skew = Number.isNaN(server) ? 0 : server - loaded;

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const el of document.querySelectorAll("time[data-local]")) {
  const t = Date.parse(el.dateTime);
  if (!Number.isNaN(t)) {
    el.title = el.textContent;
    el.textContent = local.format(t);
  }
}

for (const button of document.querySelectorAll("button[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  const show = (on) => {
    input.type = on ? "text" : "password";
    button.textContent = on ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(on));
  };
  button.hidden = false;
  button.addEventListener("click", () => show(input.type === "password"));
  input.form.addEventListener("submit", () => show(false));
}

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.querySelector("button[type=submit]")?.setAttribute("aria-disabled", "true");
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) {
    delete form.dataset.sent;
    form.querySelector("button[type=submit]")?.removeAttribute("aria-disabled");
  }
});

const words = (ms) => {
  const s = Math.max(0, Math.floor(ms / 1000));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  if (d > 0) return `${d} d ${h} h left`;
  if (h > 0) return `${h} h ${m} min left`;
  return `${m}:${String(s % 60).padStart(2, "0")} left`;
};

const counters = [...document.querySelectorAll("[data-left]")].map((el) => ({ el, end: Date.parse(el.dataset.left) }));
const warn = document.querySelector("[data-warn]");
const say = (text) => {
  if (warn && warn.textContent !== text) warn.textContent = text;
};
const tick = () => {
  const now = Date.now() + skew;
  for (const { el, end } of counters) el.textContent = `(${words(end - now)})`;
  const first = Math.min(...counters.map((c) => c.end)) - now;
  if (first <= 0) say("Your session has ended. Reload the page to sign in again.");
  else if (first <= 60_000) say("Your session ends in less than a minute.");
  else if (first <= 300_000) say("Your session ends in less than five minutes.");
};
if (counters.length > 0) {
  tick();
  setInterval(tick, 1000);
}

const off = Math.round(Math.abs(skew) / 60_000);
for (const el of document.querySelectorAll("[data-skew]")) {
  if (off >= 2) el.textContent = ` The clock of this device is ${off} minutes off.`;
}
