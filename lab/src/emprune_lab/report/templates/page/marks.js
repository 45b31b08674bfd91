// What policies look like, and the legend that shows and hides them.
const looksOf = (section) => read(`looks-${section}`);
const colour = (look) => look.colours[dark() ? 1 : 0];
const symbol = (look) => "path://" + look.marker;

function sign(look, line) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-12 -7 24 14");
  svg.setAttribute("aria-hidden", "true");
  const stroke = line ? `<path d="M-12,0 H12" stroke-width="2" stroke-dasharray="${look.dashed ? "4 3" : "none"}" stroke="currentColor"/>` : "";
  svg.innerHTML = `${stroke}<path d="${look.marker}" transform="scale(10)" fill="currentColor"/>`;
  return svg;
}

// Buttons of names that call back with the set of names shown.
function legend(names, looks, shown, line, changed) {
  const box = make("div", { className: "legend", role: "group" });
  box.setAttribute("aria-label", "Policies shown");
  const buttons = names.map((name) => {
    const svg = sign(looks[name], line), button = make("button", { type: "button" }, svg, name);
    button.setAttribute("aria-pressed", String(shown.has(name)));
    button.addEventListener("click", () => {
      if (!shown.delete(name)) shown.add(name);
      button.setAttribute("aria-pressed", String(shown.has(name)));
      changed();
    });
    return [name, svg, button];
  });
  const paint = () => buttons.forEach(([name, svg]) => { svg.style.color = colour(looks[name]); });
  themed.add(paint);
  paint();
  box.append(...buttons.map((one) => one[2]));
  return box;
}

function select(label, choices, changed) {
  const field = make("select", {}, ...Object.entries(choices).map(([value, text]) => make("option", { value }, text)));
  field.addEventListener("change", changed);
  const box = make("label", {}, label + " ", field);
  box.hidden = Object.keys(choices).length < 2;
  if (box.hidden) box.style.display = "none";
  return [box, field];
}
