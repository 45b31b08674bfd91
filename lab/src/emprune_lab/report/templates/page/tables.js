// Tables that sort by a heading and show the rows that hold all words of a filter.
const number = (text) => {
  const found = text.replaceAll(",", "").replaceAll("−", "-").match(/[-+]?\d+(\.\d+)?/);
  return found ? Number(found[0]) : NaN;
};

function compare(a, b, down) {
  const [x, y] = [number(a), number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) {
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1; // what has no number comes last
    return down ? b.localeCompare(a) : a.localeCompare(b);
  }
  return down ? y - x : x - y;
}

function explorable(table) {
  const bodies = [...table.tBodies], home = bodies.map((body) => [...body.rows]), rows = home.flat();
  const headings = [...table.tHead.rows[0].cells], tools = table.closest(".scroll").previousElementSibling;
  const sort = (place, state) => {
    headings.forEach((heading, i) => heading.setAttribute("aria-sort", i === place ? state : "none"));
    if (state === "none") return home.forEach((own, i) => bodies[i].append(...own));
    const text = (row) => row.cells[place].textContent.trim();
    const names = place === 1; // a policy's name may hold a number
    const order = names
      ? (a, b) => text(a).localeCompare(text(b)) * (state === "descending" ? -1 : 1)
      : (a, b) => compare(text(a), text(b), state === "descending");
    bodies[0].append(...[...rows].sort(order));
  };
  headings.forEach((heading, place) => {
    const button = make("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "descending", descending: "ascending", ascending: "none" };
      sort(place, next[heading.getAttribute("aria-sort")]);
    });
  });
  const filter = tools.querySelector("input"), output = tools.querySelector("output");
  tools.hidden = rows.length < 4;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = [row.cells[0], row.cells[1]].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    output.textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : "";
  });
}

document.querySelectorAll("table.explore").forEach(explorable);
