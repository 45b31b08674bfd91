// A chart of the library that follows theme and size, and whose points can be visited by keyboard.
const font = { fontSize: 12.5 };

function axis(name, more = {}) {
  return {
    name, nameLocation: "middle", nameGap: 30,
    nameTextStyle: { ...font, color: css("--ink") },
    axisLabel: { ...font, color: css("--soft"), hideOverlap: true, ...more.axisLabel },
    axisLine: { show: true, onZero: false, lineStyle: { color: css("--rule") } },
    axisTick: { show: false }, splitLine: { lineStyle: { color: css("--faint") } }, ...omit(more, "axisLabel"),
  };
}

function omit(object, name) {
  const { [name]: _, ...rest } = object;
  return rest;
}

function tooltip(formatter) {
  return {
    trigger: "item", confine: true, formatter, transitionDuration: 0, className: "tip",
    backgroundColor: css("--paper"), borderColor: css("--rule"), textStyle: { ...font, color: css("--ink") },
  };
}

// make option: () → an option of the library, drawn again whenever the theme changes.
function draw(element, option) {
  const chart = echarts.init(element, null, { renderer: "canvas" });
  const redraw = () => chart.setOption({ animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily }, ...option() }, { notMerge: true });
  redraw();
  themed.add(redraw);
  new ResizeObserver(() => chart.resize()).observe(element);
  return { chart, redraw };
}

// Arrow keys walk through points: [{ series, index }], or whatever show takes.
function walk(element, label, points, show, leave) {
  let place = -1;
  element.tabIndex = 0;
  element.setAttribute("role", "application");
  element.setAttribute("aria-label", label);
  element.addEventListener("keydown", (event) => {
    const all = points(), step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") { place = -1; leave(); return; }
    if (event.key === "Home") place = 0;
    else if (event.key === "End") place = all.length - 1;
    else if (step && all.length) place = place < 0 ? (step > 0 ? 0 : all.length - 1) : (place + step + all.length) % all.length;
    else return;
    event.preventDefault();
    if (all.length) show(all[Math.min(place, all.length - 1)]);
  });
  element.addEventListener("blur", leave);
}

// Vertical lines from low to high at x, and a band around a curve.
function bars(items, stroke) {
  return {
    type: "custom", silent: true, z: 2, clip: true, data: items,
    renderItem: (_, api) => {
      const [x, low] = api.coord([api.value(0), api.value(1)]), high = api.coord([api.value(0), api.value(2)])[1];
      return { type: "line", shape: { x1: x, y1: low, x2: x, y2: high }, style: { stroke, lineWidth: 1.5, opacity: 0.8 } };
    },
  };
}

function band(x, low, high, fill) {
  return {
    type: "custom", silent: true, z: 1, clip: true, data: [[x[0], low[0]]],
    renderItem: (_, api) => {
      const up = x.map((at, i) => api.coord([at, high[i]])), down = x.map((at, i) => api.coord([at, low[i]])).reverse();
      return { type: "polygon", shape: { points: [...up, ...down] }, style: { fill, opacity: 0.16 } };
    },
  };
}

// Axes with labels at 1, 2 and 5 times the powers of ten, or at these alone where there are many.
function logarithmic(name, min, max, more = {}) {
  const ticks = [], parts = Math.log10(max / min) > 3.2 ? [1] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++)
    for (const part of parts) {
      const tick = Number(`${part}e${power}`);
      if (tick >= min && tick <= max) ticks.push(tick);
    }
  return axis(name, {
    type: "log", min, max, splitLine: { show: false }, minorTick: { show: false }, ...more,
    axisLabel: { customValues: ticks, formatter: short, ...more.axisLabel }, axisTick: { show: true, customValues: ticks, lineStyle: { color: css("--rule") } },
  });
}
