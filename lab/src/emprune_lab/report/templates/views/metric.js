// The metric value over what it cost.
views.metric = (root, section) => {
  const data = read(`data-${section}-metric`), looks = looksOf(section);
  const names = [...new Set(data.points.map((point) => point.policy))], shown = new Set(names);
  const titles = { rate: "prune rate", samples: "samples trained", seconds: "seconds" };
  const choices = Object.fromEntries(Object.keys(data.over).map((key) => [key, titles[key]]));
  const [box, field] = select("Over", choices, () => redraw());
  const element = make("div", { className: "chart" });
  root.append(make("div", { className: "controls" }, box), legend(names, looks, shown, true, () => redraw()), element);
  const [low, high] = data.limits;
  let places = [];

  const clamped = (value) => Math.min(high, Math.max(low, value));
  const said = (point) => point.value.toFixed(data.digits) + (point.low === null ? "" : ` ± ${((point.high - point.low) / 2).toFixed(data.digits)}`);

  function tip({ data: item }) {
    const point = item && item.point;
    if (!point) return "";
    const lines = [point.full ? "all the data" : `prune rate ${point.rate}`, `${data.axis}: ${said(point)}`, `${point.seeds} seed${point.seeds === 1 ? "" : "s"}`];
    if (point.difference !== null) lines.push(`${signed(point.difference, data.digits)} to ${data.reference}`);
    lines.push(`${grouped(point.over.samples)} samples`, `${grouped(point.over.seconds)} s`);
    const box = make("div", {}, make("b", {}, point.policy));
    lines.forEach((line) => box.append(make("br"), line));
    return box;
  }

  // Over the rate, policies stand side by side, so that intervals do not hide each other.
  function shifts(points) {
    const lines = names.filter((name) => points.some((point) => point.policy === name && !point.own));
    const rates = [...new Set(points.map((point) => point.over.rate))].sort((a, b) => a - b);
    const span = rates.at(-1) - rates[0] || 0.5;
    const gaps = rates.slice(1).map((rate, i) => rate - rates[i]).filter((gap) => gap > 0.01 * span);
    const reach = Math.min(0.6 * Math.min(span, ...gaps), 0.015 * span * lines.length) / 2;
    return { reach, of: Object.fromEntries(lines.map((name, i) => [name, lines.length < 2 ? 0 : reach * (2 * i / (lines.length - 1) - 1)])) };
  }

  function across(points, key) {
    const values = points.map((point) => point.over[key]);
    if (key !== "rate") return logarithmic(data.over[key], Math.min(...values) / 1.2, Math.max(...values) * 1.2);
    const { reach } = shifts(points), [least, most] = [Math.min(...values), Math.max(...values)];
    const margin = Math.max(0.1 * (most - least || 0.5), 1.3 * reach);
    const ticks = new Map(points.filter((point) => !point.own).map((point) => [point.over.rate, point.rate]));
    const label = (value) => ticks.has(value) ? String(ticks.get(value)) : "";
    return axis(data.over.rate, {
      type: "value", min: least - margin, max: most + margin, splitLine: { show: false },
      axisLabel: { customValues: [...ticks.keys()], formatter: label }, axisTick: { customValues: [...ticks.keys()] },
    });
  }

  const { chart, redraw } = draw(element, () => {
    const key = field.value, series = [];
    const all = data.points.filter((point) => key !== "rate" || (point.rated && !point.full));
    const shift = key === "rate" ? shifts(all).of : {};
    places = [];
    for (const name of names.filter((one) => shown.has(one))) {
      const look = looks[name], points = all.filter((point) => point.policy === name);
      points.sort((a, b) => a.over[key] - b.over[key]);
      const at = (point) => point.over[key] + (point.own ? 0 : shift[name] ?? 0);
      const hollow = points.some((point) => point.own);
      points.forEach((_, index) => places.push({ seriesIndex: series.length, dataIndex: index }));
      series.push({
        type: "line", name, symbol: symbol(look), symbolSize: look.large ? 15 : 10, z: 3, clip: false,
        itemStyle: { color: hollow ? css("--paper") : colour(look), borderColor: hollow ? colour(look) : css("--paper"), borderWidth: hollow ? 1.8 : 0.6 },
        lineStyle: { color: colour(look), width: hollow || key !== "rate" ? (hollow ? 0 : 1) : 1.8, type: look.dashed ? "dashed" : "solid" },
        emphasis: { scale: 1.5 },
        data: points.map((point) => ({
          point, value: [at(point), clamped(point.value)],
          label: { show: point.value !== clamped(point.value), position: point.value < low ? "top" : "bottom", formatter: `${point.value < low ? "↓" : "↑"} ${point.value.toFixed(data.digits)}`, color: colour(look), ...font },
        })),
      });
      series.push(bars(points.filter((point) => point.low !== null).map((point) => [at(point), point.low, point.high]), colour(look)));
      const full = key === "rate" && data.points.find((point) => point.full && point.policy === name);
      if (full) series.push(...level(full, look));
    }
    return {
      grid: { left: 12, right: 24, top: 40, bottom: 34, containLabel: true },
      tooltip: tooltip(tip), aria: { enabled: false },
      xAxis: across(all, key),
      yAxis: { ...axis(data.axis, { type: "value", min: low, max: high }), nameLocation: "end", nameGap: 14, nameTextStyle: { ...font, color: css("--ink"), align: "left" }, axisLabel: { ...font, color: css("--soft"), showMinLabel: false, showMaxLabel: false } },
      series,
    };
  });

  function level(full, look) {
    const line = { silent: true, symbol: "none", label: { ...font, formatter: `${full.policy} ${full.value.toFixed(data.digits)}`, color: css("--ink"), position: "insideEndTop" } };
    line.data = [{ yAxis: clamped(full.value), lineStyle: { color: colour(look), type: [6, 4], width: 1.4 } }];
    if (full.low !== null) for (const end of [full.low, full.high]) if (end === clamped(end)) line.data.push({ yAxis: end, label: { show: false }, lineStyle: { color: colour(look), type: [1, 4], width: 1 } });
    return [{ type: "line", name: full.policy, data: [], markLine: line }];
  }

  walk(element, `${data.words} by policy: arrow keys go from point to point`, () => places,
    (place) => chart.dispatchAction({ type: "showTip", ...place }), () => chart.dispatchAction({ type: "hideTip" }));
};
