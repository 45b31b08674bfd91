// The map of the training set; hovering shows the sample.
views.map = (root, section) => {
  const samples = samplesOf(section), policies = Object.keys(samples.runs);
  const [which, policy] = select("Policy", Object.fromEntries(policies.map((one) => [one, one])), () => { chosen = -1; redraw(); });
  const number = make("input", { type: "number", min: 0, max: samples.number - 1, placeholder: "number" });
  number.style.width = "8em";
  const zooms = [["+", "Zoom in"], ["−", "Zoom out"], ["reset", "Whole map"]].map(([text, title]) => {
    const button = make("button", { type: "button", title }, text);
    button.setAttribute("aria-label", title);
    button.addEventListener("click", () => { zoom = text === "reset" ? 1 : Math.min(16, Math.max(1, zoom * (text === "+" ? 2 : 0.5))); zoomed(); });
    return button;
  });
  const element = make("div", { className: "chart" }), aside = make("div", { className: "card" });
  aside.setAttribute("aria-live", "polite");
  const hint = "Point at a sample, or go through them with the arrow keys.";
  aside.textContent = hint;
  const bins = binned(samples), shown = new Set(bins.names);
  const looks = Object.fromEntries(bins.names.map((name, bin) => [name, { colours: bins.colours.map((all) => all[bin]), marker: "M-0.5,0 A0.5,0.5 0 1,0 0.5,0 A0.5,0.5 0 1,0 -0.5,0 Z" }]));
  const key = legend(bins.names, looks, shown, false, () => redraw());
  key.setAttribute("aria-label", "Training counts shown");
  key.prepend(make("span", {}, "times trained:"));
  root.append(make("div", { className: "controls" }, which, make("label", {}, "Sample ", number), make("span", { className: "zooms" }, ...zooms)), key,
    make("div", { className: "mapped" }, element, aside), make("p", { className: "lead" }, said()));
  let chosen = -1, zoom = 1, members = [];

  function said() {
    const drawn = samples.positions.length, tiles = samples.tile.size, few = drawn < samples.number ? `${grouped(drawn)} of ${grouped(samples.number)} samples, ` : `${grouped(drawn)} samples, `;
    return `Runs of ${samples.origin}: ${few}${tiles ? `${grouped(tiles)} of them with what they show.` : "without what they show."}`;
  }

  function limits(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
    return samples.log ? [low / 1.4, high * 1.4] : [low - 0.03 * (high - low || 1), high + 0.03 * (high - low || 1)];
  }

  const scale = (name, [min, max]) => samples.log
    ? logarithmic(name, min, max, { axisLabel: { formatter: (value) => String(Number(value.toPrecision(2))) } })
    : axis(name, { type: "value", min, max, splitLine: { show: false }, axisLabel: { showMinLabel: false, showMaxLabel: false } });

  const lines = () => samples.log && samples.classes ? [{ xAxis: Math.LN2 }, { yAxis: Math.log(samples.classes) }] : [];

  const { chart, redraw } = draw(element, () => {
    const run = samples.run(policy.value), paint = bins.colours[dark() ? 1 : 0], series = [];
    members = [];
    const split = bins.names.map(() => [[], []]);
    for (let i = 0; i < samples.positions.length; i++) if (seen(run, i)) split[bins.of(run.count[i])][samples.wrong[i]].push(i);
    split.forEach(([right, wrong], bin) => {
      if (!shown.has(bins.names[bin])) return;
      const flat = (ids) => { const data = new Float32Array(2 * ids.length); ids.forEach((i, n) => { data[2 * n] = run.loss[i]; data[2 * n + 1] = run.memory[i]; }); return data; };
      for (const [ids, more] of [[right, { symbolSize: samples.positions.length > 5000 ? 4 : 6, large: right.length > 3000, largeThreshold: 3000 }], [wrong, { symbol: "path://M-0.5,-0.35 L-0.35,-0.5 L0,-0.15 L0.35,-0.5 L0.5,-0.35 L0.15,0 L0.5,0.35 L0.35,0.5 L0,0.15 L-0.35,0.5 L-0.5,0.35 L-0.15,0 Z", symbolSize: wrong.length > 500 ? 6 : 9 }]]) {
        if (!ids.length) continue;
        members.push(ids);
        series.push({ type: "scatter", dimensions: ["loss", "memory"], data: flat(ids), itemStyle: { color: paint[bin], opacity: 0.8 }, emphasis: { scale: 1.6 }, z: 2, ...more });
      }
    });
    series.push({ type: "scatter", id: "chosen", silent: true, z: 9, symbol: "circle", symbolSize: 18, itemStyle: { color: "transparent", borderColor: css("--worse"), borderWidth: 2.5 }, data: chosen < 0 || !seen(run, chosen) ? [] : [[run.loss[chosen], run.memory[chosen]]],
      markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: css("--rule"), type: [3, 3] }, data: lines() } });
    return {
      grid: { left: 28, right: 16, top: 34, bottom: 34, containLabel: true },
      tooltip: { ...tooltip(({ seriesIndex, dataIndex }) => members[seriesIndex] ? card(samples, policy.value, members[seriesIndex][dataIndex], 112) : ""), className: "tip" },
      dataZoom: [{ id: "x", xAxisIndex: 0 }, { id: "y", yAxisIndex: 0 }].map((one) => ({ type: "inside", filterMode: "none", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false, moveOnMouseMove: true, preventDefaultMouseMove: false, ...part(one.id), ...one })),
      xAxis: scale("loss, nats", limits(run.loss)),
      yAxis: { ...scale(samples.memory, limits(run.memory)), nameLocation: "end", nameGap: 14, nameTextStyle: { ...font, color: css("--ink"), align: "left" } },
      series,
    };
  });

  // The part of an axis, in percent, that is seen at this zoom: around the chosen sample, else at the middle.
  function part(id) {
    const half = 50 / zoom;
    let middle = 50;
    if (chosen >= 0 && seen(samples.run(policy.value), chosen)) {
      const values = samples.run(policy.value)[id === "x" ? "loss" : "memory"], ends = limits(values), f = samples.log ? Math.log : (v) => v;
      middle = 100 * (f(values[chosen]) - f(ends[0])) / (f(ends[1]) - f(ends[0]));
    }
    const start = Math.min(100 - 2 * half, Math.max(0, middle - half));
    return { start, end: start + 2 * half };
  }
  function zoomed() {
    for (const dataZoomIndex of [0, 1]) chart.dispatchAction({ type: "dataZoom", dataZoomIndex, ...part("xy"[dataZoomIndex]) });
  }

  function choose(i) {
    chosen = i;
    const run = samples.run(policy.value);
    chart.setOption({ series: [{ id: "chosen", data: i < 0 || !seen(run, i) ? [] : [[run.loss[i], run.memory[i]]] }] });
    aside.replaceChildren(i < 0 ? hint : card(samples, policy.value, i, 160));
  }

  chart.on("mousemove", ({ seriesIndex, dataIndex }) => {
    const i = members[seriesIndex]?.[dataIndex];
    if (i !== undefined && i !== chosen) choose(i);
  });
  number.addEventListener("input", () => {
    const i = samples.place.get(Number(number.value));
    if (number.value && i === undefined) { choose(-1); aside.textContent = `Sample ${number.value} is not on this map.`; }
    else if (number.value) choose(i);
  });
  walk(element, "Map of the training set: arrow keys go from sample to sample, the highest loss first", () => [...samples.positions.keys()], choose, () => {});
};

// Training counts in at most seven steps of equal width.
function binned(samples) {
  const most = samples.colours[0].length, width = Math.max(1, Math.ceil((samples.highest + 1) / most));
  const count = Math.min(most, Math.floor(samples.highest / width) + 1);
  const names = Array.from({ length: count }, (_, bin) => bin === count - 1 ? `≥ ${bin * width}` : width === 1 ? `${bin}` : `${bin * width}–${(bin + 1) * width - 1}`);
  const pick = (all) => names.map((_, bin) => all[count < 2 ? 0 : Math.round(bin * (most - 1) / (count - 1))]);
  return { names, colours: samples.colours.map(pick), of: (times) => Math.min(count - 1, Math.floor(times / width)) };
}
