// curves: one Plotly figure that lives as long as its place on the page. See ui/components/curves.py.

const ROW = 330; // px of height for a row of plots
const NARROW = 700; // px of width below which plots stand in one column
const LOG_TICKS = [-4, -3, -2, -1, 0, 1, 2, 3, 4].flatMap((power) => [1, 2, 5].map((n) => Number(`${n}e${power}`)));
const ON_PAPER = { xref: "paper", yref: "paper", showarrow: false }; // an annotation, placed in shares of the figure

// plotly.js is large: fetched once, when the first figure asks for it.
function plotly(address) {
  window.camdropPlotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: new URL(address, document.baseURI).href });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      window.camdropPlotly = undefined;
      reject(new Error("plotly.js could not be loaded: is the server still there? Reload the page."));
    };
    document.head.append(script);
  });
  return window.camdropPlotly;
}

// What `Plotly.react` takes: one x axis and one y axis a panel, in a grid that fits the width.
function figure(data, width, style) {
  const colors = colorsOf(style);
  const columns = width < NARROW ? 1 : Math.min(2, data.panels.length);
  const rows = Math.ceil(data.panels.length / columns);
  const [names, legendHeight] = legend(data, width, style);
  const top = 34 + legendHeight;
  const height = ROW * rows + top - 24;
  const [gapX, gapY] = [70 / width, 70 / (height - top - 44)];
  const layout = {
    width,
    height,
    margin: { l: 56, r: 12, t: top, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, color: colors.text, size: 13 },
    hovermode: "x unified",
    hoverlabel: { bgcolor: colors.background, bordercolor: colors.faint, font: { color: colors.text } },
    dragmode: width < NARROW ? false : "zoom",
    legend: { orientation: "h", x: 0, xanchor: "left", yref: "container", y: 1, yanchor: "top", font: { size: 14 } },
    uirevision: data.keep,
    annotations: [],
  };
  const traces = [];
  data.panels.forEach((panel, i) => {
    const suffix = i ? String(i + 1) : "";
    const w = (1 - gapX * (columns - 1)) / columns;
    const h = (1 - gapY * (rows - 1)) / rows;
    const left = (i % columns) * (w + gapX);
    const upper = 1 - Math.floor(i / columns) * (h + gapY);
    const isBottom = i >= data.panels.length - columns;
    const [x, y] = axes(panel.unit, suffix, { left, upper, w, h, isBottom }, data.log, colors.faint);
    Object.assign(layout, { [`xaxis${suffix}`]: x, [`yaxis${suffix}`]: y });
    const unit = data.log && panel.unit ? `, ${panel.unit}` : "";
    const title = { text: `<b>${panel.title}</b>${unit}`, x: left, y: upper, xanchor: "left", yanchor: "bottom" };
    layout.annotations.push({ ...title, ...ON_PAPER, font: { size: 14 } });
    if (!panel.traces.some((trace) => trace.x.length)) {
      Object.assign(y, { showticklabels: false, range: [0, 1], autorange: false, type: "linear" });
      const middle = { x: left + w / 2, y: upper - h / 2 };
      layout.annotations.push({ text: "nothing recorded yet", ...middle, ...ON_PAPER, opacity: 0.7 });
    }
    for (const trace of panel.traces) traces.push({ ...trace, name: names.get(trace.name) ?? trace.name, xaxis: `x${suffix}`, yaxis: `y${suffix}` });
  });
  return { traces, layout };
}

// The axes of a panel in its place, in shares of the figure.
function axes(unit, suffix, { left, upper, w, h, isBottom }, log, faint) {
  const lines = { gridcolor: faint, zeroline: false, linecolor: faint, automargin: false };
  const x = {
    ...lines,
    domain: [left, left + w],
    anchor: `y${suffix}`,
    matches: suffix ? "x" : undefined,
    rangemode: "tozero",
    hoverformat: ".2f",
    unifiedhovertitle: { text: "epoch %{x:.2f}" },
    title: isBottom ? { text: "Epoch", standoff: 6 } : undefined,
  };
  const y = {
    ...lines,
    domain: [upper - h, upper],
    anchor: `x${suffix}`,
    type: log ? "log" : "linear",
    tickvals: log ? LOG_TICKS : undefined,
    ticksuffix: unit ? `\u00a0${unit}` : "",
    hoverformat: ".4~g",
  };
  return [x, y];
}

function colorsOf(style) {
  const color = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const [text, background] = [color("text-color"), color("background-color")];
  return { text, background, faint: plain(`color-mix(in srgb, ${text} 15%, ${background})`) };
}

// The legend's names, broken where they are wider than the figure, and its height: Plotly breaks none, nor makes room
// for a legend above a figure.
function legend(data, width, style) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.font = `14px ${style.fontFamily}`;
  const wide = (text) => context.measureText(text).width + 50;
  const names = new Map();
  let [height, x, row] = [0, 0, 31];
  for (const { name } of data.panels.flatMap((panel) => panel.traces).filter((trace) => trace.showlegend)) {
    const lines = [];
    for (const word of name.split(" ")) {
      const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
      if (!lines.length || wide(longer) > width - 68) lines.push(word);
      else lines[lines.length - 1] = longer;
    }
    names.set(name, lines.join("<br>"));
    const entry = Math.max(...lines.map(wide));
    if (x && x + entry > width - 68) [height, x, row] = [height + row, 0, 31];
    x += entry;
    row = Math.max(row, 13 + 18 * lines.length);
  }
  return [names, height + row];
}

// Plotly reads rgb() and #hex, not color-mix().
function plain(value) {
  const probe = element("span", { style: `color: ${value}` });
  document.body.append(probe);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.fillStyle = getComputedStyle(probe).color;
  canvas.fillRect(0, 0, 1, 1);
  probe.remove();
  const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
  return `rgb(${r},${g},${b})`;
}

const CONFIG = {
  displaylogo: false,
  doubleClick: "reset",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  toImageButtonOptions: { format: "svg", filename: "camdrop" },
};

export default component((root) => {
  const plot = element("div", { class: "camdrop-curves", role: "figure" });
  const problem = element("p", { role: "alert" });
  root.append(plot, problem);
  let latest = null;
  let drawn = "";
  let busy = false;

  async function draw() {
    if (busy || !latest || !plot.clientWidth) return;
    busy = true;
    try {
      const Plotly = await plotly(latest.plotly);
      // What came while drawing is drawn next, the latest alone.
      for (let wanted = state(); wanted !== drawn; wanted = state()) {
        const { traces, layout } = figure(latest, plot.clientWidth, getComputedStyle(plot));
        await Plotly.react(plot, traces, layout, CONFIG);
        drawn = wanted;
        painted(latest.key);
      }
      setText(problem, "");
    } catch (error) {
      setText(problem, error.message);
    }
    busy = false;
  }
  const state = () => `${plot.clientWidth} ${getComputedStyle(plot).color} ${JSON.stringify(latest)}`;

  const watcher = new ResizeObserver(draw);
  watcher.observe(plot);
  return {
    update({ data }) {
      latest = data;
      const titles = data.panels.map((panel) => panel.title).join(", ");
      plot.setAttribute("aria-label", `Curves over epochs: ${titles}`);
      const height = () => figure(data, plot.clientWidth || 1000, getComputedStyle(plot)).layout.height;
      plot.style.minHeight = drawn ? "" : `${height()}px`;
      draw();
    },
    unmount() {
      watcher.disconnect();
      if (window.Plotly) window.Plotly.purge(plot);
    },
  };
});
