// Samples that the map and the contact sheets show.
const opened = new Map();

function samplesOf(section) {
  if (opened.has(section)) return opened.get(section);
  const data = read(`data-${section}-map`), shows = data.shows;
  const found = { ...data, positions: unpack(data.positions), wrong: unpack(data.wrong), decoded: {} };
  for (const name of ["label", "true"]) if (data[name]) found[name] = unpack(data[name]);
  found.place = new Map([...found.positions].map((position, i) => [position, i]));
  found.tile = new Map(shows.positions.map((position, i) => [position, i]));
  if (shows.sprite) found.url = URL.createObjectURL(new Blob([bytes(shows.sprite)], { type: "image/webp" }));
  found.run = (policy) => found.decoded[policy] ??= Object.fromEntries(Object.entries(data.runs[policy]).map(([key, one]) => [key, unpack(one)]));
  opened.set(section, found);
  return found;
}

// What sample i of the page shows, as an element; null where the page has no picture or text of it.
function picture(samples, i, size) {
  const { shows } = samples, tile = samples.tile.get(samples.positions[i]);
  if (tile === undefined) return null;
  if (!shows.sprite) return make("div", { className: "text" }, shows.texts[tile]);
  const element = make("span", { className: "pixels" }), lines = Math.ceil(shows.positions.length / shows.columns);
  element.style.cssText = `width:${size}px;height:${size}px;background-image:url(${samples.url});background-size:${size * shows.columns}px ${size * lines}px;background-position:${-size * (tile % shows.columns)}px ${-size * Math.floor(tile / shows.columns)}px`;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `sample ${samples.positions[i]}`);
  return element;
}

const flipped = (samples, i) => samples.label ? samples.label[i] !== samples.true[i] : Boolean(samples.wrong[i]);
const labelled = (samples, i) => flipped(samples, i) ? `${samples.names[samples.true[i]]} → ${samples.names[samples.label[i]]}` : samples.names[samples.label[i]];

const seen = (run, i) => !Number.isNaN(run.loss[i]) && !Number.isNaN(run.memory[i]);

function card(samples, policy, i, size, brief) {
  const run = samples.run(policy), box = make("div", {}, ...[picture(samples, i, size)].filter(Boolean));
  const lines = [];
  if (samples.label) lines.push(labelled(samples, i));
  const loss = Number.isNaN(run.loss[i]) ? "never seen" : `loss ${run.loss[i].toPrecision(3)}`;
  if (brief) lines.push(`№ ${samples.positions[i]}`, `×${run.count[i]}, ${loss}`);
  else {
    lines.push(`sample ${samples.positions[i]}`, `trained ${run.count[i]} ×`, loss);
    if (seen(run, i)) lines.push(`${samples.log ? "entropy" : "memory term"} ${run.memory[i].toPrecision(3)}`);
    if (run.right) lines.push(run.right[i] === 100 ? "predicted right" : run.right[i] === 0 ? "predicted otherwise" : `${run.right[i]} % predicted right`);
  }
  lines.forEach((line, n) => box.append(n || !brief ? make("div", {}, line) : make("b", {}, line)));
  return box;
}
