"use strict";
// Searches the contact sheet; searches, sorts and pages the table of generators. Texts of unknown authors become text
// nodes, never markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const thin = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const wordsOf = (input) => input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const contains = (text, words) => words.every((word) => text.includes(word));
  for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;

  // The contact sheet: a picture is shown when its text and that of its sheet contain all words of the search.
  const sheets = [...document.querySelectorAll(".sheet")].map((sheet) => {
    const about = sheet.querySelector("header").textContent.toLowerCase();
    const pictures = [...sheet.querySelectorAll("figure")].map((figure) => {
      return { figure, text: about + " " + figure.textContent.toLowerCase() };
    });
    return { sheet, about, pictures };
  });
  const searchSheets = () => {
    const words = wordsOf(byId("search-pictures"));
    let shown = 0;
    for (const { sheet, about, pictures } of sheets) {
      let shownOfSheet = 0;
      for (const { figure, text } of pictures) {
        figure.hidden = !contains(text, words);
        shownOfSheet += !figure.hidden;
      }
      sheet.hidden = !shownOfSheet && !contains(about, words);
      shown += shownOfSheet;
    }
    byId("pictures-shown").textContent = `${thin(shown)} ${shown === 1 ? "picture" : "pictures"}`;
  };
  if (byId("search-pictures")) {
    byId("search-pictures").addEventListener("input", searchSheets);
    searchSheets();
  }

  // More pictures of a generator: files beside the page, which a copy of the page does not have.
  for (const button of document.querySelectorAll("[data-further]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const pictures = button.closest(".sheet").querySelector(".pictures");
      for (const address of JSON.parse(button.dataset.further)) {
        const link = pictures.appendChild(document.createElement("figure")).appendChild(document.createElement("a"));
        link.href = address;
        const image = document.createElement("img");
        image.loading = "lazy";
        image.alt = address.split("/").pop();
        image.addEventListener("error", () => image.replaceWith(`${image.alt}: not beside this page`));
        image.addEventListener("load", () => image.classList.toggle("pixelated", image.naturalWidth <= 96 && image.naturalHeight <= 96));
        image.src = address;
        link.append(image);
      }
      button.remove();
    });
  }

  // The table. A row is a list in the order of the columns.
  const { rows, pages, page_rows: pageRows } = JSON.parse(byId("generators-data").textContent);
  const [NAME, OUTCOME] = [1, 12];
  const heads = [...document.querySelectorAll("#generators th")];
  const texts = rows.map((row) => row.filter((value) => value !== null).join(" ").toLowerCase());
  const body = document.querySelector("#generators tbody");
  let order = rows.map((_, number) => number);
  let found = order;
  let page = 0;

  const cell = (value, column) => {
    const made = document.createElement("td");
    if (value === null) {
      made.className = "soft";
      made.textContent = "–";
    } else if (column === NAME) {
      // The Hub has no page of a local generator; what its user names is an address, or nothing.
      const link = made.appendChild(document.createElement(pages[value] === null ? "span" : "a"));
      const [repository, commit] = value.split("@");
      const path = commit ? `${repository}/tree/${commit}` : repository;
      if (!Object.hasOwn(pages, value)) link.href = "https://huggingface.co/" + path.split("/").map(encodeURIComponent).join("/");
      else if (pages[value]) link.setAttribute("href", pages[value]);
      link.rel = "noreferrer";
      link.textContent = value;
      made.classList.add("name");
      made.title = value;
    } else {
      made.textContent = typeof value === "number" ? thin(value) : value;
    }
    if (heads[column].classList.contains("number")) made.classList.add("number");
    if (column === OUTCOME) {
      made.classList.add("outcome");
      made.title = value;
    }
    return made;
  };
  const show = () => {
    const first = page * pageRows;
    body.replaceChildren(...found.slice(first, first + pageRows).map((number) => {
      const line = document.createElement("tr");
      line.append(...rows[number].map(cell));
      return line;
    }));
    const last = Math.min(first + pageRows, found.length);
    byId("generators-shown").textContent = found.length ? `${thin(first + 1)}–${thin(last)} of ${thin(found.length)}` : "none";
    byId("previous").disabled = page === 0;
    byId("next").disabled = last === found.length;
  };
  const search = () => {
    const words = wordsOf(byId("search-generators"));
    found = order.filter((number) => contains(texts[number], words));
    page = 0;
    show();
  };
  const sort = (column) => {
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const keys = rows.map((row) => (typeof row[column] === "string" ? row[column].toLowerCase() : row[column]));
    order = rows.map((_, number) => number).sort((one, other) => {
      const [a, b] = [keys[one], keys[other]];
      if (a === b) return one - other;
      if (a === null || b === null) return a === null ? 1 : -1; // unknown values come last
      return (a < b) === ascending ? -1 : 1;
    });
    search();
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
  byId("search-generators").addEventListener("input", search);
  byId("previous").addEventListener("click", () => { page -= 1; show(); });
  byId("next").addEventListener("click", () => { page += 1; show(); });
  show();
})();
