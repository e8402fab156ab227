// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// What every page shares: calls to the CRM, the header, the live indicator.

const keys = takeKeys();

// Without a gateway in front there is nobody to add the key pair. It may then
// be given once in the address (?accessKey=..&secretKey=..); it moves to this
// tab's storage and leaves the address bar.
function takeKeys() {
  const url = new URL(location.href);
  const access = url.searchParams.get("accessKey");
  const secret = url.searchParams.get("secretKey");
  if (access && secret) {
    sessionStorage.setItem("keys", JSON.stringify({ access, secret }));
    url.searchParams.delete("accessKey");
    url.searchParams.delete("secretKey");
    history.replaceState(null, "", url);
  }
  try {
    return JSON.parse(sessionStorage.getItem("keys"));
  } catch {
    return null;
  }
}

// withKeys is for addresses the browser opens itself: sockets and downloads.
export function withKeys(address) {
  if (!keys) return address;
  const url = new URL(address, location.href);
  url.searchParams.set("accessKey", keys.access);
  url.searchParams.set("secretKey", keys.secret);
  return url.toString();
}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// call fetches JSON. Refusals are shown in the banner and thrown.
export async function call(path, body) {
  const headers = { Accept: "application/json" };
  if (keys) {
    headers["x-LSQ-AccessKey"] = keys.access;
    headers["x-LSQ-SecretKey"] = keys.secret;
  }
  const options = { headers, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.method = "POST";
    options.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    banner("The CRM cannot be reached.");
    throw new Refused(0, "The CRM cannot be reached.");
  }
  const data = await answer.json().catch(() => null);
  if (answer.ok && data?.Status !== "Error") return data;
  const message = explain(data) || `The request failed (${answer.status}).`;
  banner(message);
  throw new Refused(answer.status, message);
}

// explain finds the text meant for people in a problem document or in the
// CRM's own envelope.
function explain(data) {
  return data?.detail || data?.ExceptionMessage || data?.title || "";
}

export function banner(message) {
  const box = document.getElementById("banner");
  box.textContent = message || "";
  box.hidden = !message;
}

// el builds an element: text children are text, never markup.
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

const numbers = new Intl.NumberFormat("en-IN");
const dates = new Intl.DateTimeFormat("en-IN", { dateStyle: "medium" });
const times = new Intl.DateTimeFormat("en-IN", { dateStyle: "medium", timeStyle: "short" });

export const count = (n) => numbers.format(n);
export const day = (text) => format(dates, text);
export const moment = (text) => format(times, text);

function format(form, text) {
  const at = new Date(`${text ?? ""}`.replace(" ", "T") + "Z");
  return Number.isNaN(at.getTime()) ? text || "" : form.format(at);
}

export const fullName = (lead) =>
  [lead.FirstName, lead.LastName].filter(Boolean).join(" ") || "Unnamed lead";

export const initials = (name) =>
  name.split(/\s+/).map((word) => word[0] || "").slice(0, 2).join("").toUpperCase();

export const stages = [
  "New", "Contacted", "Qualified", "Documents Pending", "Proposal Sent", "Negotiation", "Customer", "Lost",
];

export const main = document.getElementById("main");

// me is the person signed in, or null.
export const me = call("/app/api/me").then(showMe, () => null);

function showMe(person) {
  document.getElementById("whoami").textContent = person.Name;
  document.getElementById("avatar").textContent = initials(person.Name);
  const role = (person.Role || "").replaceAll("_", " ");
  document.getElementById("whorole").textContent = [person.EmailAddress, role].filter(Boolean).join(" · ");
  return person;
}

for (const link of document.querySelectorAll(".tabs a")) {
  if (location.pathname.toLowerCase().startsWith(link.pathname)) link.setAttribute("aria-current", "page");
}

const live = document.getElementById("live");
let silence;
let wait = 1000;

function showLive(on, text) {
  live.dataset.live = on ? "on" : "off";
  live.textContent = text;
}

// The live indicator is a WebSocket of heartbeats. 1008 means that somebody
// decided to end it: then it stays ended.
function connect() {
  const url = new URL(withKeys("/app/socket"), location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.addEventListener("message", () => {
    wait = 1000;
    showLive(true, "Live");
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), 5000);
  });
  socket.addEventListener("close", async (event) => {
    clearTimeout(silence);
    showLive(false, "Disconnected");
    if (event.code === 1008 || (await signedOut())) {
      showLive(false, "Disconnected: signed out");
      return;
    }
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, 30000);
  });
}

async function signedOut() {
  try {
    await call("/app/api/ping");
    return false;
  } catch (error) {
    return error.status === 401 || error.status === 403;
  }
}

connect();
