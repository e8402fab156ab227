// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Says while somebody types which rules a new password meets, and encrypts the
// passwords of forms that must not be sent in clear.

const count = (text, what) => (text.match(what) ?? []).length;
const special = /[^\p{L}\p{Nd}\s]/gu;
const judges = {
  min_length: (text, n) => [...text].length >= n,
  max_length: (text, n) => [...text].length <= n,
  upper: (text, n) => count(text, /\p{Lu}/gu) >= n,
  lower: (text, n) => count(text, /\p{Ll}/gu) >= n,
  digits: (text, n) => count(text, /\p{Nd}/gu) >= n,
  special: (text, n) => count(text, special) >= n,
  special_set: (text, _, set) => (text.match(special) ?? []).every((c) => set.includes(c)),
};
const strengths = ["very weak", "weak", "fair", "good", "strong"];

const mark = (row, met) => {
  const word = row.querySelector(".met");
  if (met === undefined) {
    delete row.dataset.met;
    word.textContent = "";
    return;
  }
  row.dataset.met = met ? "yes" : "no";
  word.textContent = met ? " (met)" : " (not met)";
};

const watch = (form) => {
  const input = form.querySelector("[data-new]"), repeat = form.querySelector("[data-repeat]");
  const rows = [...form.querySelectorAll("[data-rule]")], strength = form.querySelector("[data-strength]");
  let timer, asked = 0, asking;

  const ask = async () => {
    const mine = ++asked;
    const body = { password: input.value };
    const link = form.elements.link?.value.trim().replace(/^.*[#=]/u, "");
    if (link) body.link = link;
    asking = new AbortController();
    const res = await fetch(form.dataset.check, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: asking.signal,
    }).catch(() => undefined);
    if (mine !== asked || !res?.ok) return;
    const { score, rules } = await res.json();
    if (mine !== asked) return;
    strength.textContent = `Strength: ${strengths[score] ?? ""}`;
    for (const row of rows) {
      const rule = rules.find((r) => r.kind === row.dataset.rule && (r.n ?? 0) === Number(row.dataset.n));
      if (rule) mark(row, rule.met);
    }
  };

  const same = () => repeat.setCustomValidity(repeat.value === "" || repeat.value === input.value ? "" : "The two entries differ.");
  input.addEventListener("input", () => {
    same();
    asked++;
    strength.textContent = "";
    for (const row of rows) {
      const judge = judges[row.dataset.rule];
      mark(row, judge && input.value !== "" ? judge(input.value, Number(row.dataset.n), row.dataset.set) : undefined);
    }
    clearTimeout(timer);
    if (form.dataset.check && input.value !== "") timer = setTimeout(ask, 400);
  });
  repeat.addEventListener("input", same);
  // Once it is sent, the right to ask may be used up.
  form.addEventListener("submit", () => {
    asked++;
    clearTimeout(timer);
    asking?.abort();
  });
};

const sealing = (form) => {
  let busy = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    try {
      const fields = {};
      for (const input of form.querySelectorAll("[data-field]")) fields[input.dataset.field] = input.value;
      if (form.elements.email) fields.email = form.elements.email.value.trim();
      const res = await fetch(form.dataset.key, { method: "POST" });
      if (!res.ok) throw new Error("no key");
      const { seal } = await import(form.dataset.seal);
      const sealed = document.createElement("input");
      sealed.type = "hidden";
      sealed.name = "sealed";
      sealed.value = await seal(await res.json(), fields);
      form.append(sealed);
      for (const input of form.querySelectorAll("input[type=password]")) input.value = "";
      form.submit();
    } catch {
      busy = false;
      delete form.dataset.sent;
      form.querySelector("button[type=submit]").removeAttribute("aria-disabled");
      const note = document.querySelector("[data-needs-script]");
      note.textContent = "The password could not be encrypted, so nothing was sent. Try again.";
      note.setAttribute("role", "alert");
      note.hidden = false;
    }
  });
};

// A link to reset a password stands behind "#". It goes into the form, and out of
// the address and the history.
const link = document.getElementById("link");
if (link && location.hash.length > 1) {
  link.value = decodeURIComponent(location.hash.slice(1));
  link.closest("[data-link-field]").hidden = true;
}
if (document.querySelector("[name=link]")) history.replaceState(null, "", location.pathname);

for (const form of document.querySelectorAll("form[data-password]")) watch(form);
for (const form of document.querySelectorAll("form[data-seal]")) {
  const note = form.parentElement.querySelector("[data-needs-script]");
  if (window.isSecureContext && crypto.subtle) {
    note.hidden = true;
    sealing(form);
  } else {
    note.textContent = "This browser cannot encrypt passwords under this address, so nothing can be sent from here.";
    form.querySelector("button[type=submit]").disabled = true;
  }
}
