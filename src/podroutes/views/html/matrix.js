// The matrix: what the paths draw, as one byte a cell.
const svg = $("#matrix svg");
const { width, height, factor } = Object.fromEntries(Object.entries(svg.dataset).map(([key, value]) => [key, Number(value)]));
const paths = $$(".cells > path", svg);
const severity = (state) => (state ? paths[state - 1].classList[0] : "proven");
const fails = (state) => severity(state) === "unreachable" || severity(state) === "cannot-tell";
const cells = new Uint8Array(width * height);
paths.forEach((path, at) => {
  for (const [, x, y, wide] of path.getAttribute("d").matchAll(/M(\d+) (\d+)h(\d+)/g)) cells.fill(at + 1, y * width + +x, y * width + +x + +wide);
});
const group = (at, names) => (factor === 1 ? names[at] : `${names[at * factor]} … ${names[Math.min((at + 1) * factor, names.length) - 1]}`);
const rowName = (row) => group(row, data.rows);
const columnName = (column) => (factor === 1 ? `${data.columns[column][0]} (${data.columns[column][1]})` : group(column, data.columns.map((each) => each[0])));
const upTo = (length) => Array.from({ length }, (_, at) => at);
const crowded = svg.classList.contains("crowded"); // failing cells have 6 px each, and the picture is scrolled
let rows = upTo(height), columns = upTo(width), chosen = "", zoom = 1, cursor = null;

function arrange(order) {
  const counted = (state) => (chosen ? state && paths[state - 1].dataset.code === chosen : fails(state));
  const inRow = new Uint32Array(height), inColumn = new Uint32Array(width);
  for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) if (counted(cells[row * width + column])) inRow[row]++, inColumn[column]++;
  rows = upTo(height);
  columns = upTo(width);
  if (order === "failing") {
    rows = rows.filter((row) => inRow[row]);
    columns = columns.filter((column) => inColumn[column]);
  }
  if (order === "worst") {
    rows.sort((one, other) => inRow[other] - inRow[one]);
    columns.sort((one, other) => inColumn[other] - inColumn[one]);
  }
  draw();
}

function draw() {
  const d = paths.map(() => []);
  rows.forEach((row, y) => {
    for (let x = 0; x < columns.length; ) {
      const state = cells[row * width + columns[x]];
      let behind = x + 1;
      while (behind < columns.length && cells[row * width + columns[behind]] === state) behind++;
      if (state) d[state - 1].push(`M${x} ${y}h${behind - x}v1h${x - behind}z`);
      x = behind;
    }
  });
  paths.forEach((path, at) => path.setAttribute("d", d[at].join("")));
  const most = Math.max(rows.length, columns.length, 1);
  const small = most <= 40;
  const cell = small ? (most <= 6 ? 52 : most <= 14 ? 34 : 22) : 1;
  const room = (names) => 7 * Math.max(0, ...names.map((name) => Math.min(name.length, 24))) + 12;
  const cut = (name) => (name.length > 24 ? `${name.slice(0, 23)}…` : name);
  const rowNames = small ? rows.map(rowName) : [], columnNames = small ? columns.map((at) => (factor === 1 ? data.columns[at][0] : columnName(at))) : [];
  const left = small ? room(rowNames) : 0, top = small ? Math.floor((room(columnNames) * 3) / 4) + 8 : 0;
  const wide = left + columns.length * cell + (small ? (top * 3) / 4 : 0);
  svg.setAttribute("viewBox", `0 0 ${wide} ${top + rows.length * cell}`);
  svg.setAttribute("class", small ? "small" : crowded ? "dense crowded" : "dense");
  svg.setAttribute("preserveAspectRatio", small ? "xMinYMin" : "none");
  if (small) svg.setAttribute("width", wide * zoom);
  else if (crowded) svg.setAttribute("width", columns.length * 6 * zoom);
  else svg.removeAttribute("width");
  if (!small && crowded) svg.setAttribute("height", rows.length * 6 * zoom);
  else svg.removeAttribute("height");
  const fitted = !small && !crowded && zoom !== 1;
  svg.style.width = fitted ? `${100 * zoom}%` : "";
  svg.style.maxHeight = fitted ? `${78 * zoom}vh` : "";
  $(".cells", svg).setAttribute("transform", `translate(${left} ${top}) scale(${cell})`);
  for (const each of $$(".cells > rect, .lines rect", svg)) {
    each.setAttribute("width", columns.length);
    each.setAttribute("height", rows.length);
  }
  $(".lines", svg).style.display = small ? "" : "none";
  const label = (words, kind, attributes) => {
    const element = document.createElementNS(svg.namespaceURI, "text");
    element.textContent = cut(words);
    element.setAttribute("class", kind);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  $(".labels", svg).replaceChildren(
    ...rowNames.map((name, at) => label(name, "row", { x: left - 8, y: top + (at + 0.5) * cell })),
    ...columnNames.map((name, at) => label(name, "column", { transform: `translate(${left + (at + 0.5) * cell} ${top - 8}) rotate(-45)` })),
  );
  point(null);
}

const told = $("#told"), hint = told.textContent;
function point(place) {
  cursor = place;
  const mark = $(".cursor", svg);
  mark.replaceChildren();
  for (const each of $$(".hot", svg)) each.classList.remove("hot");
  if (!place) {
    told.textContent = rows.length ? hint : "Nothing fails.";
    return;
  }
  const [x, y] = place;
  const shape = (name, attributes) => {
    const element = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    mark.append(element);
  };
  if (svg.classList.contains("dense")) shape("path", { class: "cross", d: `M0 ${y + 0.5}H${columns.length}M${x + 0.5} 0V${rows.length}` });
  shape("rect", { x, y, width: 1, height: 1 });
  $$(".labels .row", svg)[y]?.classList.add("hot");
  $$(".labels .column", svg)[x]?.classList.add("hot");
  tell(rows[y], columns[x]);
}

function causes(row, column) {
  const inside = ([from, to]) => meets(from, row * factor, (row + 1) * factor) && meets(to, column * factor, (column + 1) * factor);
  return findings.flatMap((blocks, number) => (blocks && blocks.some(inside) ? [number] : []));
}

function tell(row, column) {
  const state = cells[row * width + column];
  const what = make("b", state ? paths[state - 1].dataset.words : "proven");
  const sign = make("i");
  sign.className = `sign ${severity(state)}`;
  sign.textContent = { unreachable: "✕", "cannot-tell": "?", warning: "!", proven: "✓" }[severity(state)] ?? "·";
  told.replaceChildren(make("p", sign, what), make("dl", make("dt", "from"), make("dd", rowName(row)), make("dt", "to"), make("dd", columnName(column))));
  const found = causes(row, column);
  for (const number of found.slice(0, 2)) {
    const link = make("a", $(`#f${number} > p`).textContent);
    link.href = `#f${number}`;
    told.append(make("p", link));
  }
  const rest = make("p", found.length > 2 ? `and ${count(found.length - 2, "more finding")}` : fails(state) && !found.length ? "Its finding is left out of this page." : "");
  rest.className = "soft";
  if (rest.textContent) told.append(rest);
}

const at = (event) => {
  const matrix = $(".cells", svg).getScreenCTM();
  const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  const x = Math.floor(spot.x), y = Math.floor(spot.y);
  return x >= 0 && y >= 0 && x < columns.length && y < rows.length ? [x, y] : null;
};
svg.addEventListener("pointermove", (event) => {
  const place = event.pointerType === "touch" ? null : at(event);
  if (place && String(place) !== String(cursor)) point(place);
});
svg.addEventListener("click", (event) => at(event) && point(at(event)));
const picture = $(".picture");
picture.setAttribute("aria-label", "Matrix: arrow keys move, n goes to the next failing pair, Enter to its explanation");
picture.setAttribute("role", "application");
picture.addEventListener("keydown", (event) => {
  if (!rows.length || event.ctrlKey || event.altKey || event.metaKey) return;
  const [x, y] = cursor ?? [-1, -1];
  const move = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1], Home: [-columns.length, 0], End: [columns.length, 0] }[event.key];
  if (move) {
    const bounded = (value, behind) => Math.max(0, Math.min(behind - 1, value));
    point([bounded(x + move[0], columns.length), bounded(y + move[1], rows.length)]);
  } else if (event.key === "n") {
    const start = cursor ? y * columns.length + x + 1 : 0, all = rows.length * columns.length;
    const next = upTo(all).map((step) => (start + step) % all).find((place) => fails(cells[rows[Math.floor(place / columns.length)] * width + columns[place % columns.length]]));
    if (next !== undefined) point([next % columns.length, Math.floor(next / columns.length)]);
  } else if (event.key === "Enter" && cursor && $("a", told)) {
    $("a", told).click();
  } else return;
  event.preventDefault();
});
told.addEventListener("click", (event) => {
  const row = event.target.hash && $(event.target.hash);
  if (!row) return;
  const field = $('input[data-for="findings"]');
  if (row.hidden) field.value = "", search(field);
  row.closest(".cause").open = true;
});

const order = $("#order");
order.addEventListener("change", () => arrange(order.value));
for (const button of $$("[data-zoom]")) {
  button.addEventListener("click", () => {
    zoom = Math.max(1, Math.min(16, zoom * (button.dataset.zoom === "in" ? 2 : 0.5)));
    draw();
  });
}
const buttons = $$(".legend button");
for (const button of buttons) {
  button.addEventListener("click", () => {
    chosen = button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.code;
    for (const each of buttons) each.setAttribute("aria-pressed", String(each.dataset.code === chosen));
    for (const path of paths) path.classList.toggle("dimmed", Boolean(chosen) && path.dataset.code !== chosen);
    arrange(order.value);
  });
}

// The map: a node shows whom it does not reach. One stop for the Tab key; arrow keys go on from there.
const nodes = $$("button.node");
const said = $("#chosen");
nodes.forEach((node, place) => {
  node.tabIndex = place ? -1 : 0;
  node.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = step && nodes[place + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  node.addEventListener("focus", () => {
    for (const each of nodes) each.tabIndex = each === node ? 0 : -1;
  });
  node.addEventListener("click", () => {
    if (node.dataset.row === undefined) return;
    const row = Number(node.dataset.row), name = data.rows[row];
    const on = node.getAttribute("aria-pressed") !== "true";
    for (const each of nodes) each.classList.remove("lost"), each.setAttribute("aria-pressed", "false");
    node.setAttribute("aria-pressed", String(on));
    $("#map").classList.toggle("chosen", on && factor === 1);
    said.textContent = "";
    if (!on) return;
    if (factor > 1) { // cells stand for many pairs: the table knows
      const field = $('input[data-for="nodes"]');
      field.value = name;
      search(field);
      $("#node").scrollIntoView();
      return;
    }
    const lost = upTo(width).filter((column) => fails(cells[row * width + column]));
    const owners = new Set(lost.map((column) => data.columns[column][1]));
    for (const each of nodes) each.classList.toggle("lost", owners.has(data.rows[each.dataset.row]));
    const few = lost.slice(0, 8).map(columnName).join(", ");
    said.textContent = lost.length ? `${name} does not reach ${few}${lost.length > 8 ? `, … (${lost.length.toLocaleString("en")} in all)` : ""}` : $(".unseen", node.parentElement) === node ? `The tables of ${name} were not collected` : `${name} reaches every pod CIDR`;
  });
});
