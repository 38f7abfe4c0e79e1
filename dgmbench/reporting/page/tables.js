"use strict";
// Sorts, filters and saves the tables of the page. Without scripts the tables stand as they are.

const FILTERED_FROM = 4;

const rowsOf = (box) => [...box.querySelector("tbody").rows];
const titleOf = (head) => head.innerText.replace(/\s+/g, " ").trim();

function keyOf(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value !== undefined) {
    const number = Number(cell.dataset.value);
    return Number.isFinite(number) ? number : null;
  }
  return cell.classList.contains("gap") ? null : cell.innerText.trim();
}

// Gaps come last, whichever way; numbers before words.
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
}

function sortBy(box, column, first) {
  const heads = [...box.querySelectorAll("thead th")];
  const was = heads[column].getAttribute("aria-sort");
  const now = was === null ? "ascending" : was === "ascending" ? "descending" : null;
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  let rows = first;
  if (now) {
    heads[column].setAttribute("aria-sort", now);
    const sign = now === "ascending" ? 1 : -1;
    rows = [...first].sort((a, b) => compare(keyOf(a, column), keyOf(b, column), sign));
  }
  box.querySelector("tbody").append(...rows);
}

function filterBy(box, text, count) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = rowsOf(box);
  for (const row of rows) {
    const said = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => said.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  count.textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : "";
}

// What a cell of a column holds beside its number, as columns of the file.
const FACTS = { half: "±", factor: "×/÷", low: "low", high: "high", kind: "kind", bound: "bound", metric: "metric", seeds: "seeds", images: "images" };

const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
// A spreadsheet takes text that begins so for a formula.
const harmless = (text) => (/^[=+\-@\t]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);

function wordsOf(cell) {
  if (cell.dataset.value !== undefined) return cell.dataset.value;
  if (cell.classList.contains("gap")) return "";
  return cell.querySelector("code") && cell.title ? cell.title : cell.innerText.replace(/\s+/g, " ").trim();
}

// The rows as shown; numbers in full, each followed by what else is known of it.
function csvOf(box) {
  const heads = [...box.querySelectorAll("thead th")];
  const rows = rowsOf(box);
  const facts = heads.map((_, column) => Object.keys(FACTS).filter((name) => rows.some((row) => row.cells[column].dataset[name] !== undefined)));
  const lines = [heads.flatMap((head, i) => [titleOf(head), ...facts[i].map((name) => `${titleOf(head)} ${FACTS[name]}`)])];
  for (const row of rows.filter((row) => !row.hidden)) {
    lines.push([...row.cells].flatMap((cell, i) => [wordsOf(cell), ...facts[i].map((name) => cell.dataset[name] ?? "")]));
  }
  return lines.map((line) => line.map((text) => quoted(harmless(text))).join(",") + "\n").join("");
}

function save(box) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvOf(box)], { type: "text/csv" }));
  link.download = `${box.dataset.name}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function made(tag, attributes) {
  return Object.assign(document.createElement(tag), attributes);
}

function equip(box) {
  const first = rowsOf(box);
  const label = box.querySelector(".scroll").getAttribute("aria-label");
  box.querySelectorAll("thead th").forEach((head, column) => {
    const button = made("button", { type: "button", className: "sort" });
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(box, column, first));
    head.append(button);
  });
  const bar = made("div", { className: "bar" });
  const csv = made("button", { type: "button", className: "csv", textContent: "CSV", title: `Save: ${label}` });
  csv.addEventListener("click", () => save(box));
  const isSmall = box.classList.contains("small");
  if (first.length >= FILTERED_FROM && !isSmall) {
    const count = made("span", { className: "count" });
    count.setAttribute("aria-live", "polite");
    const filter = made("input", { type: "search", placeholder: "filter rows" });
    filter.setAttribute("aria-label", `Filter the rows of: ${label}`);
    filter.addEventListener("input", () => filterBy(box, filter.value, count));
    bar.append(filter, count);
  }
  bar.append(csv);
  if (isSmall) box.append(bar);
  else box.prepend(bar);
}

// A figure that has room is no stop of the keyboard.
function reachable() {
  for (const figure of document.querySelectorAll("figure[tabindex]")) {
    figure.tabIndex = figure.scrollWidth > figure.clientWidth ? 0 : -1;
  }
}

document.querySelectorAll(".table").forEach(equip);
addEventListener("load", reachable);
addEventListener("resize", reachable);
