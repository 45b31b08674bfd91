// Learning curves: a quantity after each epoch.
views.curves = (root, section) => {
  const data = read(`data-${section}-curves`), looks = looksOf(section);
  const [what, quantity] = select("Quantity", data.quantities, () => redraw());
  const rates = Object.keys(Object.values(data.curves)[0]);
  const [which, rate] = select("Prune rate", Object.fromEntries(rates.map((one) => [one, one])), () => redraw());
  const titles = { epochs: "epochs", kept: "samples trained", seconds: "seconds" };
  const [how, over] = select("Over", Object.fromEntries(Object.keys(data.over).map((key) => [key, titles[key]])), () => redraw());
  rate.value = rates.at(-1);
  const named = new Set(Object.values(data.curves).flatMap((rates) => Object.values(rates).flatMap(Object.keys)));
  const names = Object.keys(looks).filter((name) => named.has(name)), shown = new Set(data.shown.filter((name) => named.has(name)));
  if (named.has("full")) shown.add("full");
  const element = make("div", { className: "chart" });
  root.append(make("div", { className: "controls" }, what, which, how), legend(names, looks, shown, true, () => redraw()), element);
  let places = [];

  const { chart, redraw } = draw(element, () => {
    const curves = data.curves[quantity.value][rate.value], key = over.value, series = [];
    const drawn = names.filter((name) => shown.has(name) && curves[name]);
    const ends = drawn.filter((name) => name !== "full" || drawn.length === 1).map((name) => curves[name][key].at(-1));
    places = [];
    for (const name of drawn) {
      const curve = curves[name], look = looks[name];
      curve.mean.forEach((_, dataIndex) => places.push({ seriesIndex: series.length, dataIndex }));
      series.push({
        type: "line", name, symbol: symbol(look), symbolSize: look.large ? 11 : 7, showSymbol: true, showAllSymbol: false, z: 3,
        itemStyle: { color: colour(look) }, lineStyle: { color: colour(look), width: 1.8, type: look.dashed ? "dashed" : "solid" },
        data: curve.mean.map((value, i) => ({ value: [curve[key][i], value], symbolSize: i % Math.ceil(curve.mean.length / 10) ? 3 : look.large ? 11 : 7 })),
        ...(name === "full" && key !== "epochs" ? { markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: colour(look), type: [6, 4] }, data: [{ yAxis: curve.mean.at(-1) }] } } : {}),
      });
      series.push(band(curve[key], curve.low, curve.high, colour(look)));
    }
    return {
      grid: { left: 12, right: 24, top: 40, bottom: 34, containLabel: true },
      tooltip: tooltip(({ seriesName, dataIndex }) => {
        const curve = curves[seriesName];
        if (!curve) return "";
        const box = make("div", {}, make("b", {}, seriesName), make("br"), `epoch ${curve.epochs[dataIndex]}: ${curve.mean[dataIndex]}`);
        if (curve.low[dataIndex] !== curve.high[dataIndex]) box.append(make("br"), `seeds: ${curve.low[dataIndex]} to ${curve.high[dataIndex]}`);
        for (const one of ["kept", "seconds"]) if (curve[one]) box.append(make("br"), `${grouped(curve[one][dataIndex])} ${one === "kept" ? "samples" : "s"}`);
        return box;
      }),
      xAxis: axis(data.over[key], { type: "value", min: 0, max: ends.length ? Math.max(...ends) * (key === "epochs" ? 1 : 1.04) : 1, axisLabel: { formatter: short, showMaxLabel: key === "epochs" }, splitLine: { show: false } }),
      yAxis: { ...axis(data.quantities[quantity.value], { type: "value", scale: true }), nameLocation: "end", nameGap: 14, nameTextStyle: { ...font, color: css("--ink"), align: "left" } },
      series,
    };
  });
  walk(element, "Learning curves: arrow keys go from epoch to epoch", () => places,
    (place) => chart.dispatchAction({ type: "showTip", ...place }), () => chart.dispatchAction({ type: "hideTip" }));
};
