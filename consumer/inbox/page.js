// The inbox's page. Whatever comes out of a mail is put in as text, never as markup.
"use strict";

const at = (id) => document.getElementById(id);
const shown = { number: 0, tab: "html", scheme: "light", width: "desktop", mail: null };
const mails = new Map(); // number → summary, in order of arrival
const read = new Set();

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function clock(instant) {
  return new Date(instant).toLocaleTimeString("de", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

function fits(mail) {
  const wanted = at("filter").value.trim().toLowerCase();
  return [mail.subject, mail.recipient, mail.rule_id, mail.event_id].join("\n").toLowerCase().includes(wanted);
}

function entry(mail) {
  const button = element("button", read.has(mail.number) ? "entry" : "entry unread");
  button.type = "button";
  button.setAttribute("aria-current", String(mail.number === shown.number));
  button.append(
    element("span", "subject", mail.subject || "(no subject)"),
    element("span", "time", clock(mail.received_at)),
    element("span", "to", mail.recipient),
  );
  if (mail.language) button.append(element("span", "lang", mail.language.slice(0, 5)));
  button.addEventListener("click", () => { location.hash = String(mail.number); });
  const line = element("li");
  line.append(button);
  return line;
}

function drawList() {
  const fitting = [...mails.values()].filter(fits).reverse(); // newest first
  at("mails").replaceChildren(...fitting.map(entry));
  at("none").hidden = fitting.length > 0;
  at("none").textContent = mails.size ? "No mail fits the filter." : "No mail yet. They appear here as they arrive.";
  document.title = mails.size ? `(${mails.size}) push-services inbox` : "push-services inbox";
}

function drawRefusals(refusals) {
  at("refused").hidden = refusals.length === 0;
  at("refusals").replaceChildren(...refusals.map((refusal) => {
    const line = element("li", "", refusal.recipient);
    line.append(element("span", "", refusal.reply));
    return line;
  }));
}

function drawMail() {
  const mail = shown.mail;
  at("mail").hidden = !mail;
  at("blank").hidden = Boolean(mail);
  document.body.classList.toggle("reading", Boolean(mail) && location.hash.length > 1);
  if (!mail) return;
  const from = mail.headers.find(([name]) => name.toLowerCase() === "from");
  at("subject").textContent = mail.subject || "(no subject)";
  at("from").textContent = from ? from[1] : mail.sender;
  at("to").textContent = mail.recipient;
  at("when").textContent = clock(mail.received_at);
  at("rule").textContent = mail.rule_id || "?";
  at("event").textContent = mail.event_id || "?";
  drawPart(mail);
}

function drawPart(mail) {
  const tab = shown.tab === "html" && !mail.html ? "text" : shown.tab;
  for (const button of document.querySelectorAll("[data-tab]")) {
    button.hidden = button.dataset.tab === "html" && !mail.html;
    button.setAttribute("aria-selected", String(button.dataset.tab === tab));
  }
  press("[data-scheme]", "scheme");
  press("[data-width]", "width");
  at("looks").hidden = at("widths").hidden = tab !== "html";
  at("stage").className = "stage" + (tab === "html" ? ` mail-shown ${shown.scheme} ${shown.width}` : "");
  at("frame").hidden = tab !== "html";
  at("plain").hidden = tab !== "text" && tab !== "source";
  at("headers").hidden = tab !== "headers";
  if (tab === "html") showFrame(`/mails/${mail.number}/html?scheme=${shown.scheme}`);
  if (tab === "text") at("plain").textContent = mail.text || "(this mail has no text part)";
  if (tab === "source") at("plain").textContent = mail.source;
  if (tab === "headers") at("headers").tBodies[0].replaceChildren(...mail.headers.map(headerRow));
}

function press(selector, name) {
  for (const button of document.querySelectorAll(selector)) {
    button.setAttribute("aria-pressed", String(button.dataset[name] === shown[name]));
  }
}

function showFrame(url) {
  const frame = at("frame");
  if (frame.dataset.url === url) return;
  frame.dataset.url = url;
  const fresh = frame.cloneNode(false); // a new frame leaves no entry in the browser's history
  fresh.src = url;
  frame.replaceWith(fresh);
}

function headerRow([name, value]) {
  const row = element("tr");
  row.append(element("th", "", name), element("td", "", value));
  return row;
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(path);
  return answer.json();
}

async function show(number) {
  shown.number = number;
  shown.mail = number ? await ask(`/api/mails/${number}`).catch(() => null) : null;
  read.add(number);
  drawList();
  drawMail();
}

async function refresh() {
  try {
    const newest = Math.max(0, ...mails.keys());
    const [arrived, refusals] = await Promise.all([ask(`/api/mails?after=${newest}`), ask("/api/refusals")]);
    for (const mail of arrived) mails.set(mail.number, mail);
    if (arrived.length) drawList();
    drawRefusals(refusals);
    tell("live", `${mails.size} ${mails.size === 1 ? "mail" : "mails"}`);
    if (!shown.mail && mails.size && !location.hash && innerWidth > 760) await show(Math.max(...mails.keys()));
  } catch {
    tell("gone", "the demo has ended");
  }
  setTimeout(refresh, 700);
}

function tell(state, text) {
  at("state").className = `pill ${state}`;
  at("state-text").textContent = text;
}

// #3 opens the third mail; #3/source, #3/dark or #3/html/dark/phone choose how it is shown.
function follow() {
  const [number, ...looks] = location.hash.slice(1).split("/");
  for (const look of looks) {
    for (const name of ["tab", "scheme", "width"]) {
      if (document.querySelector(`[data-${name}="${CSS.escape(look)}"]`)) shown[name] = look;
    }
  }
  return show(Number.parseInt(number, 10) || 0);
}

function choose(selector, name) {
  for (const button of document.querySelectorAll(selector)) {
    button.addEventListener("click", () => { shown[name] = button.dataset[name]; drawMail(); });
  }
}

choose("[data-tab]", "tab");
choose("[data-scheme]", "scheme");
choose("[data-width]", "width");
at("filter").addEventListener("input", drawList);
at("back").addEventListener("click", () => { location.hash = ""; });
addEventListener("hashchange", follow);
if (location.hash.length > 1) follow();
refresh();
