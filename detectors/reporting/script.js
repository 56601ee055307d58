"use strict";
// Sorts tables by the column whose heading is clicked: numbers as numbers, undefined ones last.
(() => {
  const valueOf = (row, column) => {
    const text = (row.cells[column].querySelector(".value") ?? row.cells[column]).textContent.trim();
    const number = Number.parseFloat(text.replace(/\u202f/g, ""));
    return Number.isNaN(number) ? text : number;
  };
  for (const table of document.querySelectorAll(".sortable")) {
    const heads = [...table.querySelectorAll("thead th[scope=col]")];
    for (const head of heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const column = head.cellIndex;
        const rows = [...table.tBodies[0].rows];
        rows.sort((first, second) => {
          const [one, two] = [valueOf(first, column), valueOf(second, column)];
          if (one === "–" || two === "–") return (one === "–") - (two === "–");
          const order = typeof one === "number" && typeof two === "number" ? one - two : String(one).localeCompare(String(two));
          return falling ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    }
  }
})();
