// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// One lead: its details, what happened, what it may become, what is to do.

import { banner, call, count, day, el, fullName, initials, main, moment, stages, withKeys } from "./app.js";

const id = location.pathname.split("/").pop();
const base = `/app/api/leads/${id}`;

const groups = {
  Contact: ["EmailAddress", "Phone", "Mobile", "mx_Phone_2", "mx_Secondary_Email", "Company", "JobTitle", "Website"],
  Finance: ["mx_PAN_Number", "mx_Aadhaar", "mx_Annual_Income", "mx_Loan_Amount", "mx_Product", "mx_KYC", "Revenue"],
  Ownership: ["ProspectStage", "OwnerIdName", "OwnerIdEmailAddress", "mx_Branch"],
  Personal: ["mx_Date_of_Birth", "mx_Gender", "mx_Occupation", "mx_Preferred_Language", "mx_Street1", "mx_City", "mx_State", "mx_Zip", "Notes"],
  Source: ["Source", "SourceMedium", "SourceCampaign", "Origin"],
  System: ["Score", "EngagementScore", "LeadAge", "CreatedOn", "CreatedByName", "ModifiedOn", "ModifiedByName"],
};

const labels = {
  EmailAddress: "Email", mx_Phone_2: "Alternate phone", ProspectStage: "Stage", OwnerIdName: "Owner",
  OwnerIdEmailAddress: "Owner email", mx_PAN_Number: "PAN", mx_Zip: "PIN code", mx_Street1: "Street", mx_KYC: "KYC",
};

const label = (name) =>
  labels[name] || name.replace(/^mx_/, "").replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2").replace(/Name$/, "");

const dated = new Set(["CreatedOn", "ModifiedOn"]);

const head = el("div", { class: "head" });
const details = el("section", { class: "card", "aria-label": "Details" });
const editor = el("section", { class: "card", "aria-label": "Edit" });
const activities = el("section", { class: "card", "aria-label": "Activities" });
const opportunities = el("section", { class: "card", "aria-label": "Opportunities" });
const tasks = el("section", { class: "card", "aria-label": "Tasks" });

function draw(lead) {
  const name = fullName(lead);
  document.title = `${name} · Acme CRM`;
  head.replaceChildren(
    el("span", { class: "avatar big", "aria-hidden": "true" }, initials(name)),
    el("div", { class: "grow" }, el("h1", { "data-testid": "lead-name" }, name),
      el("p", { class: "quiet" }, [lead.Company, lead.mx_City].filter(Boolean).join(" · "))),
    lead.ProspectStage ? el("span", { class: "tag" }, lead.ProspectStage) : null,
    el("a", { class: "button", href: withKeys(`/app/print/leads/${id}`) }, "Print view"),
  );
  details.replaceChildren(...Object.entries(groups).flatMap(([title, names]) => {
    // A field that is not in the answer is not shown at all.
    const shown = names.filter((field) => field in lead);
    if (!shown.length) return [];
    return [el("h3", {}, title), el("dl", { class: "fields" }, shown.map((field) => line(lead, field)))];
  }));
  drawEditor(lead);
}

function line(lead, field) {
  const test = { Phone: "lead-phone", OwnerIdName: "lead-owner" }[field] || null;
  let value = lead[field];
  if (dated.has(field)) value = moment(value);
  if (field === "mx_Date_of_Birth") value = day(value);
  return el("div", {}, el("dt", {}, label(field)), el("dd", { "data-testid": test, "data-field": field }, value || "—"));
}

function drawEditor(lead) {
  const phone = el("input", { name: "Phone", value: lead.Phone ?? "", autocomplete: "off", "data-testid": "edit-phone" });
  const stage = el("select", { name: "ProspectStage", "data-testid": "edit-stage" }, stages.map((s) => el("option", { value: s }, s)));
  if (lead.ProspectStage && !stages.includes(lead.ProspectStage)) {
    stage.append(el("option", { value: lead.ProspectStage }, lead.ProspectStage));
  }
  stage.value = lead.ProspectStage ?? "";
  const note = el("p", { class: "quiet", role: "status" });
  const form = el("form", { class: "edit" },
    "Phone" in lead ? el("label", {}, "Phone", phone) : null,
    "ProspectStage" in lead ? el("label", {}, "Stage", stage) : null,
    el("button", { class: "main", "data-testid": "save" }, "Save"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const patch = {};
    if ("Phone" in lead && phone.value !== (lead.Phone ?? "")) patch.Phone = phone.value;
    if ("ProspectStage" in lead && stage.value !== (lead.ProspectStage ?? "")) patch.ProspectStage = stage.value;
    if (!Object.keys(patch).length) {
      note.textContent = "Nothing was changed.";
      return;
    }
    try {
      const saved = await call(base, patch);
      banner("");
      draw(saved);
      editor.querySelector("[role=status]").textContent = "Saved.";
    } catch (error) {
      note.textContent = error.message;
    }
  });
  editor.replaceChildren(el("h2", {}, "Quick edit"), form, note);
}

async function fill(section, title, path, build) {
  section.replaceChildren(el("h2", {}, title), el("p", { class: "quiet" }, "Loading"));
  try {
    const items = build(await call(`${base}/${path}`));
    section.replaceChildren(el("h2", {}, `${title} (${items.children.length})`),
      items.children.length ? items : el("p", { class: "quiet" }, "Nothing yet."));
  } catch (error) {
    section.replaceChildren(el("h2", {}, title), el("p", { class: "quiet" }, error.message));
  }
}

// Notes of telephony connectors are parts between {next} and {=}; people read
// them better as a sentence.
function readable(note) {
  return (note ?? "").split("{next}").filter(Boolean).map((part) => part.replace("{=}", ": ")).join(" · ");
}

const timeline = (data) => el("ul", { class: "timeline" }, data.ProspectActivities.map((activity) => {
  const note = activity.Data?.find((item) => item.Key === "ActivityEvent_Note")?.Value;
  return el("li", { "data-testid": "activity" },
    el("div", { class: "row" }, el("strong", {}, activity.EventName), el("span", { class: "quiet" }, moment(activity.CreatedOn))),
    note ? el("p", { class: "quiet" }, readable(note)) : null);
}));

const deals = (data) => el("ul", { class: "list" }, data.List.map((deal) => el("li", {},
  el("div", { class: "row" }, el("strong", {}, deal.mx_Custom_1 ?? "Opportunity"), el("span", { class: "tag" }, deal.mx_Custom_2 ?? "")),
  el("p", { class: "quiet" }, [deal.mx_Custom_3, deal.mx_Custom_4 ? `₹ ${count(+deal.mx_Custom_4)}` : null].filter(Boolean).join(" · ")))));

const todos = (data) => el("ul", { class: "list" }, data.TaskList.map((task) => el("li", {},
  el("div", { class: "row" }, el("strong", {}, task.Name ?? "Task"), el("span", { class: "tag" }, task.Status ?? "")),
  el("p", { class: "quiet" }, `Due ${day(task.DueDate)}`))));

try {
  const lead = await call(base);
  main.append(head, el("div", { class: "columns" },
    el("div", { class: "stack" }, editor, details), el("div", { class: "stack" }, opportunities, tasks, activities)));
  draw(lead);
  await Promise.all([
    fill(activities, "Activities", "activities", timeline),
    fill(opportunities, "Opportunities", "opportunities", deals),
    fill(tasks, "Tasks", "tasks", todos),
  ]);
} catch (error) {
  main.append(el("p", { class: "card empty" }, error.message), el("p", {}, el("a", { href: "/app/leads" }, "Back to the leads")));
}
