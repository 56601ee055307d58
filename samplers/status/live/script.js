"use strict";
// Asks for the sections again and again, and replaces those that have changed.
const every = 1000 * Number(document.body.dataset.every);
const main = document.querySelector("main");
const away = document.getElementById("away");
const title = document.title;
const shown = new Map([...main.children].map((section) => [section.id, section.outerHTML]));

function show(text) {
  const template = document.createElement("template");
  template.innerHTML = text;
  for (const section of [...template.content.children]) {
    if (shown.get(section.id) === section.outerHTML) continue;
    shown.set(section.id, section.outerHTML);
    document.getElementById(section.id).replaceWith(section);
  }
  name();
}

function name() {
  const now = document.getElementById("numbers").dataset.title;
  document.title = now ? `${now} – ${title}` : title;
}

async function refresh() {
  try {
    if (!document.hidden) {
      const answer = await fetch("sections", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      show(await answer.text());
      away.hidden = true;
    }
  } catch {
    away.hidden = false;
  }
  setTimeout(refresh, every);
}

name();
setTimeout(refresh, every);
