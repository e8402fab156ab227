// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// What is to do on the leads that the person changed last.

import { call, day, el, fullName, main, me } from "./app.js";

const list = el("ul", { class: "list" });
main.append(el("div", { class: "head" }, el("h1", {}, "Tasks")),
  el("section", { class: "card" }, el("h2", {}, "On your latest leads"), list));

try {
  const person = await me;
  const owner = person ? `&owner=${encodeURIComponent(person.ID)}` : "";
  const { Leads } = await call(`/app/api/leads?size=20${owner}`);
  for (const lead of Leads) {
    const { TaskList } = await call(`/app/api/leads/${encodeURIComponent(lead.ProspectID)}/tasks`);
    for (const task of TaskList) {
      list.append(el("li", { "data-testid": "task" },
        el("div", { class: "row" }, el("strong", {}, task.Name ?? "Task"), el("span", { class: "tag" }, task.Status ?? "")),
        el("p", { class: "quiet" },
          el("a", { href: `/app/leads/${encodeURIComponent(lead.ProspectID)}` }, fullName(lead)), ` · due ${day(task.DueDate)}`)));
    }
  }
  if (!list.children.length) list.append(el("li", { class: "quiet" }, "Nothing to do."));
} catch (error) {
  list.append(el("li", { class: "quiet" }, error.message));
}
