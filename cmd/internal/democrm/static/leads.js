// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// The list of leads: search, filters, sorting and paging live in the address.

import { banner, call, count, day, el, fullName, initials, main, stages, withKeys } from "./app.js";

const columns = [
  { title: "Name", sort: "FirstName", cell: nameCell },
  { title: "Phone", sort: "Phone", cell: (lead) => el("td", { "data-testid": "lead-phone" }, lead.Phone ?? "") },
  { title: "Email", sort: "EmailAddress", wide: true, cell: (lead) => el("td", { class: "wide" }, lead.EmailAddress ?? "") },
  { title: "Stage", sort: "ProspectStage", cell: (lead) => el("td", {}, lead.ProspectStage ? el("span", { class: "tag" }, lead.ProspectStage) : "") },
  { title: "Owner", sort: "OwnerIdName", cell: (lead) => el("td", { class: "quiet", "data-testid": "lead-owner" }, lead.OwnerIdName ?? "") },
  { title: "City", sort: "mx_City", wide: true, cell: (lead) => el("td", { class: "wide" }, lead.mx_City ?? "") },
  { title: "Modified", sort: "ModifiedOn", wide: true, cell: (lead) => el("td", { class: "wide quiet" }, day(lead.ModifiedOn)) },
];

const state = Object.assign(
  { page: "1", size: "25", sort: "ModifiedOn", dir: "desc", q: "", owner: "", stage: "" },
  Object.fromEntries(new URL(location.href).searchParams),
);

const total = el("span", { class: "tag", "data-testid": "record-count" }, "…");
const search = el("input", { type: "search", placeholder: "Search name, phone, email or company", "aria-label": "Search leads", value: state.q });
const owner = el("select", { "aria-label": "Owner" }, el("option", { value: "" }, "All owners"));
const stage = el("select", { "aria-label": "Stage" },
  el("option", { value: "" }, "All stages"), stages.map((s) => el("option", { value: s }, s)));
const head = el("tr");
const body = el("tbody");
const place = el("span", { class: "quiet" });
const back = el("button", { onclick: () => go({ page: `${+state.page - 1}` }) }, "Previous");
const next = el("button", { onclick: () => go({ page: `${+state.page + 1}` }) }, "Next");

stage.value = state.stage;
search.addEventListener("input", later(() => go({ q: search.value, page: "1" })));
owner.addEventListener("change", () => go({ owner: owner.value, page: "1" }));
stage.addEventListener("change", () => go({ stage: stage.value, page: "1" }));

main.append(
  el("div", { class: "head" },
    el("h1", {}, "Leads"), total, el("span", { class: "grow" }),
    el("a", { class: "button", href: withKeys("/app/export/leads.csv"), download: "leads.csv" }, "Export CSV")),
  el("div", { class: "bar" }, el("div", { class: "grow" }, search), owner, stage),
  el("div", { class: "card table" }, el("table", { class: "leads" }, el("thead", {}, head), body)),
  el("div", { class: "pager" }, place, el("div", {}, back, next)),
);

function nameCell(lead) {
  const name = fullName(lead);
  return el("td", {},
    el("a", { href: `/app/leads/${encodeURIComponent(lead.ProspectID)}`, "data-testid": "lead-name" }, name),
    lead.Company ? el("div", { class: "quiet" }, lead.Company) : null);
}

function later(action) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, 250);
  };
}

function drawHead() {
  head.replaceChildren(...columns.map((column) => {
    const sorted = column.sort === state.sort;
    const order = state.dir === "asc" ? "ascending" : "descending";
    const flip = sorted && state.dir === "asc" ? "desc" : "asc";
    return el("th", { scope: "col", "aria-sort": sorted ? order : null, class: column.wide ? "wide" : null },
      el("button", { class: "plain", onclick: () => go({ sort: column.sort, dir: flip, page: "1" }) }, column.title));
  }));
}

function go(change) {
  Object.assign(state, change);
  const url = new URL(location.href);
  for (const [key, value] of Object.entries(state)) {
    if (value) url.searchParams.set(key, value);
    else url.searchParams.delete(key);
  }
  history.replaceState(null, "", url);
  load();
}

let asked = 0;

async function load() {
  drawHead();
  const turn = ++asked;
  const query = new URLSearchParams(Object.entries(state).filter(([, value]) => value));
  let data;
  try {
    data = await call(`/app/api/leads?${query}`);
  } catch (error) {
    if (turn === asked) {
      total.textContent = "0";
      place.textContent = "";
      back.disabled = next.disabled = true;
      body.replaceChildren(emptyRow(error.message));
    }
    return;
  }
  if (turn !== asked) return;
  banner("");
  total.textContent = count(data.RecordCount);
  const rows = data.Leads.map((lead) => el("tr", { "data-testid": "lead-row" }, columns.map((c) => c.cell(lead))));
  body.replaceChildren(...(rows.length ? rows : [emptyRow("No leads match.")]));
  const first = (+state.page - 1) * +state.size;
  place.textContent = rows.length
    ? `${count(first + 1)} to ${count(first + rows.length)} of ${count(data.RecordCount)}` : "";
  back.disabled = +state.page <= 1;
  next.disabled = first + +state.size >= data.RecordCount;
}

function emptyRow(text) {
  return el("tr", {}, el("td", { colspan: columns.length, class: "empty" }, text));
}

load();
call("/app/api/users").then((users) => {
  for (const user of users) {
    const name = [user.FirstName, user.LastName].filter(Boolean).join(" ") || initials(user.EmailAddress ?? "?");
    owner.append(el("option", { value: user.ID }, name));
  }
  owner.value = state.owner;
}, () => {});
