// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

import { call, el, main } from "./app.js";
import { bars } from "./chart.js";

main.append(el("div", { class: "head" }, el("h1", {}, "Reports")));
try {
  const { Stages } = await call("/app/api/report/stage-counts");
  main.append(el("section", { class: "card", "data-testid": "stage-report" }, el("h2", {}, "Leads by stage"),
    bars(Stages.map((s) => ({ name: s.Stage, value: s.Count })), "Leads by stage")));
} catch (error) {
  main.append(el("p", { class: "card empty" }, error.message));
}
