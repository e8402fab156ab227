// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// A horizontal bar chart as SVG.

import { count } from "./app.js";

const space = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const node = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

export function bars(rows, title) {
  const width = 640;
  const step = 38;
  const left = 150;
  const room = width - left - 80;
  const top = Math.max(1, ...rows.map((row) => row.value));
  const chart = shape("svg", { viewBox: `0 0 ${width} ${rows.length * step}`, class: "chart", role: "img", "aria-label": title });
  rows.forEach((row, i) => {
    const y = i * step;
    chart.append(
      shape("text", { x: left - 12, y: y + 24, "text-anchor": "end" }, row.name),
      shape("rect", { x: left, y: y + 8, width: room, height: 22, rx: 6, class: "track" }),
      shape("rect", { x: left, y: y + 8, width: Math.max(2, (row.value / top) * room), height: 22, rx: 6 }),
      shape("text", { x: left + room + 12, y: y + 24, class: "quiet" }, count(row.value)),
    );
  });
  return chart;
}
