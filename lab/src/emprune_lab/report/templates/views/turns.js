// Histograms of the training counts, with a slider over the epochs.
views.turns = (root, section) => {
  const data = read(`data-${section}-turns`), looks = looksOf(section), rates = Object.keys(data.cells);
  const [which, rate] = select("Prune rate", Object.fromEntries(rates.map((one) => [one, one])), () => rebuild());
  rate.value = rates.at(-1);
  const slider = make("input", { type: "range", min: 0, max: 0, value: 0, step: 1 });
  slider.setAttribute("aria-label", "Epoch");
  const output = make("output");
  const sliding = make("label", { className: "wide" }, "After epoch ", slider, output);
  const names = Object.keys(looks).filter((name) => rates.some((one) => data.cells[one][name]));
  const shown = new Set(data.shown), panels = make("div", { className: "panels" });
  root.append(make("div", { className: "controls" }, which, sliding), legend(names, looks, shown, false, () => rebuild()), panels);
  let drawn = [], longest = [0];

  function rebuild() {
    drawn.forEach((one) => { themed.delete(one.redraw); one.chart.dispose(); });
    const cells = data.cells[rate.value], here = names.filter((name) => shown.has(name) && cells[name]);
    longest = here.map((name) => cells[name].epochs).sort((a, b) => b.length - a.length)[0] || [0];
    slider.max = String(longest.length - 1);
    slider.value = slider.max;
    sliding.style.display = longest.length > 1 ? "" : "none";
    panels.replaceChildren();
    const decoded = here.map((name) => ({ name, cell: cells[name], shares: unpack(cells[name].shares) }));
    // The highest bar of any epoch but the first ones, where all samples stand at nought; spikes would flatten the rest.
    const peaks = decoded.map(({ shares }) => Math.max(...shares.subarray(shares.length - data.bins)) / 655.35);
    const top = 1.08 * Math.max(...peaks.filter((peak) => peak < 75), ...(peaks.every((peak) => peak >= 75) ? peaks : []), 1);
    drawn = decoded.map((one) => panel(one, top));
    update();
  }

  function panel({ name, cell, shares }, top) {
    const element = make("div", { className: "chart" }), text = make("p");
    element.setAttribute("role", "img");
    panels.append(make("div", { className: "panel" }, make("h4", {}, name), element, text));
    const state = { name, cell, text, element, row: 0 };
    const values = () => [...shares.subarray(state.row * data.bins, (state.row + 1) * data.bins)].map((share) => share / 655.35);
    const made = draw(element, () => {
      const now = values();
      return {
        grid: { left: 4, right: 8, top: 18, bottom: 22, containLabel: true },
        tooltip: tooltip(({ dataIndex }) => {
          const from = dataIndex * data.width, to = from + data.width - 1;
          return `${name}: ${values()[dataIndex].toFixed(1)} % of the samples trained ${from === to ? from : `${from} to ${to}`} times`;
        }),
        xAxis: axis("times trained", { type: "value", min: -data.width / 2, max: (data.bins - 0.5) * data.width, minInterval: Math.max(1, Math.ceil(data.bins * data.width / 4)), splitLine: { show: false }, nameGap: 22, axisLabel: { showMinLabel: false, formatter: (value) => Number.isInteger(value) ? value : "" } }),
        yAxis: { ...axis("%", { type: "value", max: top, axisLabel: { showMaxLabel: false, formatter: (value) => Math.round(value) } }), nameLocation: "end", nameGap: 6, nameTextStyle: { ...font, color: css("--soft") } },
        series: [{
          type: "bar", barWidth: "95%", barCategoryGap: 0, large: false, itemStyle: { color: colour(looks[name]) }, data: now.map((share, i) => ({
            value: [i * data.width + (data.width - 1) / 2, Math.min(share, top)],
            label: { show: share > top, position: ["100%", 0], padding: [0, 0, 0, 4], align: "left", formatter: `↑ ${share.toFixed(0)} %`, color: css("--ink"), ...font },
          })),
          markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: css("--ink"), type: [3, 3], width: 1 }, data: [{ xAxis: cell.mean[state.row] }] },
        }],
      };
    });
    return Object.assign(state, made);
  }

  function update() {
    const epoch = longest[Number(slider.value)];
    output.textContent = epoch ? `${epoch} of ${longest.at(-1)}` : "";
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    for (const one of drawn) {
      // A shorter run ends before others; its end stays.
      const at = one.cell.epochs.findLastIndex((e) => e <= epoch);
      one.row = one.cell.epochs.length === 1 ? 0 : Math.max(0, at);
      const [mean, spread, never] = ["mean", "spread", "never"].map((key) => one.cell[key][one.row]);
      one.text.textContent = `mean ${mean.toFixed(1)}, s.d./mean ${spread.toFixed(2)}, never\u00a0${(100 * never).toFixed(1)}\u00a0%`;
      one.element.setAttribute("aria-label", `${one.name}: ${one.text.textContent}`);
      one.redraw();
    }
  }
  slider.addEventListener("input", update);
  rebuild();
};
