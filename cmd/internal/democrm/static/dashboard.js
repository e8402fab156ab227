// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

import { call, count, el, fullName, main, me, moment } from "./app.js";

const tiles = el("div", { class: "tiles" });
const recent = el("section", { class: "card" }, el("h2", {}, "Changed lately"));

main.append(el("div", { class: "head" }, el("h1", {}, "Dashboard")), tiles, recent);

function tile(title, query) {
  const value = el("strong", {}, "…");
  tiles.append(el("div", { class: "card tile" }, value, el("span", { class: "quiet" }, title)));
  call(`/app/api/leads?size=1&${query}`).then(
    (data) => { value.textContent = count(data.RecordCount); },
    () => { value.textContent = "—"; },
  );
}

tile("Leads", "");
tile("New", "stage=New");
tile("Qualified", "stage=Qualified");
tile("Customers", "stage=Customer");
const person = await me;
if (person) tile("Yours", `owner=${encodeURIComponent(person.ID)}`);

try {
  const data = await call("/app/api/leads?size=8&sort=ModifiedOn&dir=desc");
  recent.append(el("ul", { class: "list" }, data.Leads.map((lead) => el("li", { class: "row" },
    el("a", { href: `/app/leads/${encodeURIComponent(lead.ProspectID)}` }, fullName(lead)),
    el("span", { class: "quiet" }, moment(lead.ModifiedOn))))));
} catch (error) {
  recent.append(el("p", { class: "quiet" }, error.message));
}
