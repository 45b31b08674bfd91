// Contact sheets of samples worth a look.
views.sheet = (root, section) => {
  const samples = samplesOf(section), policies = Object.keys(samples.sheets);
  const kinds = Object.keys(samples.sheets[policies[0]]);
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const [what, kind] = select("Show", Object.fromEntries(kinds.map((one) => [one, capital(one)])), () => show());
  const [which, policy] = select("Policy", Object.fromEntries(policies.map((one) => [one, one])), () => show());
  const texts = Boolean(samples.shows.texts), sheet = make("ul", { className: texts ? "sheet texts" : "sheet" });
  const said = make("p", { className: "lead" });
  said.setAttribute("aria-live", "polite");
  root.append(make("div", { className: "controls" }, what, which), said, sheet);

  function show() {
    const places = samples.sheets[policy.value][kind.value].map((position) => samples.place.get(position));
    sheet.replaceChildren(...places.map((i) => {
      const item = make("li", { className: "card" }, card(samples, policy.value, i, 78, true));
      item.classList.toggle("flipped", flipped(samples, i));
      return item;
    }));
    const known = samples.wrong.some(Boolean), wrong = places.filter((i) => flipped(samples, i)).length;
    said.textContent = `${places.length} samples${known ? `, ${wrong} of them known to be labelled wrongly` : ""}.`;
  }
  show();
};
