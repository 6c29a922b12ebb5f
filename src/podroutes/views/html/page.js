"use strict";
// Searching, sorting and pointing. Everything that is shown is put in as text, never as markup.
const $ = (words, root = document) => root.querySelector(words);
const $$ = (words, root = document) => [...root.querySelectorAll(words)];
const data = JSON.parse($("#data").textContent);
const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
const make = (name, ...children) => {
  const element = document.createElement(name);
  element.append(...children);
  return element;
};
for (const each of $$("[hidden]")) each.hidden = false; // what takes a script

// Pairs: each finding's blocks as [rows, columns], each a list of [first, last].
const ranges = (text) => text.split(",").map((run) => run.split("-").map(Number)).map(([first, last = first]) => [first, last]);
const findings = data.findings.map((blocks) => blocks && blocks.map((block) => block.map(ranges)));
const meets = (runs, first, behind) => runs.some(([from, to]) => from < behind && to >= first);
const places = (runs) => runs.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => from + at));

for (const details of $$(".pairs")) {
  details.addEventListener("toggle", () => {
    const blocks = findings[Number(details.parentElement.id.slice(1))];
    if (!details.open || $("ul", details)) return;
    if (!blocks) {
      details.append(make("p", "Its pairs are too many for this page; `podroutes verify -o json` lists them all."));
      return;
    }
    $("p", details).remove();
    for (const [rows, columns] of blocks) {
      const to = places(columns).map((at) => `${data.columns[at][0]} (${data.columns[at][1]})`).join(", ");
      const list = make("ul");
      for (const row of places(rows)) list.append(make("li", `${data.rows[row]} → ${to.length > 2000 && places(rows).length > 1 ? count(places(columns).length, "pod CIDR") : to}`));
      if (to.length > 2000 && places(rows).length > 1) list.append(make("li", `each to: ${to}`));
      details.append(list);
    }
  });
}

// Search: every word has to be there.
const index = new Map();
function search(field) {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const target = document.getElementById(field.dataset.for);
  const rows = target.tagName === "TABLE" ? [...target.tBodies[0].rows] : $$(".row", target);
  let left = 0;
  for (const row of rows) {
    if (!index.has(row)) {
      const cause = row.closest(".cause");
      index.set(row, ((cause ? `${cause.dataset.code} ` : "") + row.textContent + pairsText(row)).toLowerCase());
    }
    row.hidden = !words.every((word) => index.get(row).includes(word));
    left += !row.hidden;
  }
  for (const cause of $$(".cause", target)) {
    cause.hidden = $$(".row", cause).every((row) => row.hidden);
    if (words.length) cause.open = true;
  }
  $(`output[data-of="${field.dataset.for}"]`).textContent = words.length ? `${left.toLocaleString("en")} of ${rows.length.toLocaleString("en")}` : "";
}
function pairsText(row) { // the names behind "… (499 in all)" are found, too
  const blocks = row.id && findings[Number(row.id.slice(1))];
  if (!blocks) return "";
  return blocks.map(([rows, columns]) => [...places(rows).map((at) => data.rows[at]), ...places(columns).map((at) => data.columns[at].join(" "))].join(" ")).join(" ");
}
for (const field of $$("input[data-for]")) field.addEventListener("input", () => search(field));

// Sort by a column, its numbers as numbers.
const compare = new Intl.Collator("en", { numeric: true }).compare;
for (const table of $$("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make("button", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      const key = new Map(rows.map((row) => [row, row.cells[column].textContent.replace(/(\d),(?=\d{3})/g, "$1")]));
      rows.sort((one, other) => (up ? 1 : -1) * compare(key.get(one), key.get(other)));
      table.tBodies[0].append(...rows);
    });
  });
}
