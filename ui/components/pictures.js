// pictures: panels of canvases in a grid. A panel keeps its canvas for life and is only repainted. See slider.py.

const GAP = 16; // px between panels
const DOWNLOAD_SIZE = 1024; // px, about, on the longer side of a downloaded picture

// Layers: decode(layer, blob, theme, scratch) once per message; draw(context, width, height) as often as sliders move.
// scratch(width, height) is the layer's own canvas off the screen, kept from message to message.

function raster(layer, blob, theme, scratch) {
  const [height, width] = layer.shape;
  const source = blob(layer.pixels);
  const image = new ImageData(width, height);
  const channels = source.length / (width * height);
  for (let i = 0, j = 0; j < image.data.length; i += channels, j += 4) {
    image.data[j] = source[i];
    image.data[j + 1] = source[channels > 1 ? i + 1 : i];
    image.data[j + 2] = source[channels > 1 ? i + 2 : i];
    image.data[j + 3] = channels === 4 ? source[i + 3] : 255;
  }
  const canvas = scratch(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return (context, w, h) => {
    context.imageSmoothingEnabled = layer.smooth;
    context.drawImage(canvas, 0, 0, w, h);
  };
}

// rgb = lut[round(255 t)], t = clip((h - low) / (high - low), 0, 1), laid over what is below with the opacity.
function heat(layer, blob, theme, scratch) {
  const [height, width] = layer.shape;
  const levels = new Uint16Array(blob(layer.values).buffer);
  const lut = blob(layer.lut);
  const [least, most] = layer.span;
  const image = new ImageData(width, height);
  const canvas = scratch(width, height);
  const context = canvas.getContext("2d");
  let painted = "";
  return (target, w, h) => {
    const low = current(layer.low);
    const high = current(layer.high);
    if (painted !== `${low} ${high}`) {
      painted = `${low} ${high}`;
      const unit = (most - least) / 65535;
      const scale = high > low ? 255 / (high - low) : Infinity;
      for (let i = 0, j = 0; i < levels.length; i++, j += 4) {
        const t = (least + levels[i] * unit - low) * scale;
        const color = 3 * (t > 0 ? Math.min(255, Math.round(t)) : 0);
        image.data[j] = lut[color];
        image.data[j + 1] = lut[color + 1];
        image.data[j + 2] = lut[color + 2];
        image.data[j + 3] = 255;
      }
      context.putImageData(image, 0, 0);
    }
    target.imageSmoothingEnabled = layer.smooth;
    target.globalAlpha = current(layer.opacity);
    target.drawImage(canvas, 0, 0, w, h);
    target.globalAlpha = 1;
  };
}

// Cells that come and go with γ: those whose bound lies above it.
function marks(layer, blob, theme, scratch) {
  const [height, width] = layer.shape;
  const below = blob(layer.below);
  const rgb = [1, 3, 5].map((at) => Number.parseInt(layer.color.slice(at, at + 2), 16));
  const canvas = scratch(width, height);
  let painted = -1;
  return (target, w, h) => {
    const gamma = Math.round(100 * current(layer.gamma));
    if (painted !== gamma) {
      painted = gamma;
      const image = new ImageData(width, height);
      for (let i = 0; i < below.length; i++) if (gamma < below[i]) image.data.set([...rgb, 255], 4 * i);
      canvas.getContext("2d").putImageData(image, 0, 0);
    }
    target.imageSmoothingEnabled = false;
    target.drawImage(canvas, 0, 0, w, h);
  };
}

function bars(layer, blob, theme) {
  const values = new Float32Array(blob(layer.values).buffer);
  const marked = blob(layer.marked);
  const top = values.reduce((a, b) => Math.max(a, b), 0);
  const bottom = values.reduce((a, b) => Math.min(a, b), 0);
  const range = top - bottom || 1;
  return (context, w, h) => {
    const y = (value) => ((top - value) / range) * h;
    const pitch = w / values.length;
    const colors = theme();
    const thick = pitch > 3 ? pitch * 0.8 : pitch;
    for (const mark of [0, 1]) {
      // Marked bars come last and are at least a pixel wide, so that none of 2048 gets lost.
      context.fillStyle = mark ? layer.marked_color : (layer.color ?? colors.faint);
      const width = mark ? Math.max(1.5, thick) : thick;
      for (let i = 0; i < values.length; i++)
        if (marked[i] === mark) {
          const from = Math.min(y(values[i]), y(0));
          context.fillRect((i + 0.5) * pitch - width / 2, from, width, Math.max(1, Math.abs(y(values[i]) - y(0))));
        }
    }
    context.fillStyle = colors.text;
    context.fillRect(0, Math.min(h - 1, y(0)), w, 1);
  };
}

const DECODERS = { raster, heat, marks, bars, voxels };

// What can be pointed at: tiles of a mosaic or bars. at(x, y) and box(index) are in shares of the picture, 0 to 1.
function cellsOf(panel, layers) {
  const bar = layers.find((layer) => layer.kind === "bars");
  if (bar) {
    const count = bar.values[1] / 4;
    return { count, columns: count, at: (x) => Math.floor(x * count), box: (i) => [i / count, 0, 1 / count, 1] };
  }
  if (!panel.tiles) return null;
  const { columns, count, width, height, gap } = panel.tiles;
  const [pictureHeight, pictureWidth] = layers[0].shape;
  return {
    count,
    columns,
    at: (x, y) => {
      const column = Math.floor((x * pictureWidth) / (width + gap));
      return column < columns ? Math.floor((y * pictureHeight) / (height + gap)) * columns + column : -1;
    },
    box: (i) => [
      ((i % columns) * (width + gap)) / pictureWidth,
      (Math.floor(i / columns) * (height + gap)) / pictureHeight,
      width / pictureWidth,
      height / pictureHeight,
    ],
  };
}

const TURNS = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };

function makePanel(theme, pick, turned) {
  const title = element("div", { class: "title" });
  const subtitle = element("div", { class: "subtitle" });
  const equation = element("div", { class: "equation", popover: "manual", role: "dialog", "aria-label": "Equation" });
  const ask = element("button", { class: "tool", type: "button", title: "Equation", "aria-haspopup": "dialog" }, "ƒ");
  const save = element("button", { class: "tool", type: "button", title: "Download as PNG" }, "⤓");
  const canvas = element("canvas", { role: "img" });
  const active = element("div", { role: "option", id: "active", "aria-selected": "true" });
  const frame = element("div", { class: "frame" }, canvas, active);
  const rows = element("div", { class: "rows" });
  const lines = element("div", { class: "lines" });
  const head = element("div", { class: "head" }, element("div", {}, title, subtitle), ask, save);
  const root = element("figure", {}, head, frame, lines, rows, equation);

  let panel = null;
  let draws = [];
  let cells = null;
  let solid = false; // shows voxels, and so can be turned
  let hovered = -1;
  let text = "";
  let shownEquation = "";
  const spares = [];
  const scratch = (i) => (width, height) => {
    if (spares[i]?.width !== width || spares[i].height !== height) spares[i] = new OffscreenCanvas(width, height);
    return spares[i];
  };

  function draw(target, w, h) {
    const context = target.getContext("2d");
    context.clearRect(0, 0, w, h);
    for (const layer of draws) layer(context, w, h);
  }
  function outline(context, index, color, w, h) {
    const [x, y, width, height] = cells.box(index);
    // With a rim, so that it is seen on any picture.
    for (const [stroke, thick] of [[theme().background, 5], [color, 2.5]]) {
      context.lineWidth = thick * devicePixelRatio;
      context.strokeStyle = stroke;
      context.strokeRect(x * w, y * h, Math.max(width * w, 1), height * h);
    }
  }
  function paint() {
    const w = canvas.width;
    const h = canvas.height;
    draw(canvas, w, h);
    if (!cells) return;
    const context = canvas.getContext("2d");
    if (panel.selected !== null) outline(context, panel.selected, theme().text, w, h);
    if (hovered >= 0) outline(context, hovered, theme().primary, w, h);
  }

  // A canvas has as many pixels as it covers on the screen: sharp, and no scaling by the browser. The observer also
  // tells the first size, just before the first frame; asking for a size after an update would force a layout.
  const watcher = new ResizeObserver(([{ contentRect }]) => {
    canvas.width = Math.max(1, Math.round(contentRect.width * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(contentRect.height * devicePixelRatio));
    paint();
  });
  watcher.observe(canvas);

  function hover(index) {
    if (!cells || index >= cells.count || index < -1) index = -1;
    if (index === hovered) return;
    hovered = index;
    const label = index < 0 ? "" : (panel.labels[index] ?? String(index));
    setText(lines, label || text);
    setText(active, label);
    active.setAttribute("aria-posinset", index + 1);
    paint();
  }
  const under = (event) => cells.at(event.offsetX / canvas.clientWidth, event.offsetY / canvas.clientHeight);
  canvas.addEventListener("pointermove", (event) => {
    if (cells) hover(under(event));
    else if (solid && event.buttons) {
      turn(-event.movementX / 150, event.movementY / 150);
      turned();
    }
  });
  canvas.addEventListener("pointerleave", () => hover(-1));
  canvas.addEventListener("click", (event) => {
    if (!cells) return;
    hover(under(event));
    if (hovered >= 0 && panel.pickable) pick(panel.id, hovered);
  });
  frame.addEventListener("keydown", (event) => {
    if (solid && event.key in TURNS) {
      event.preventDefault();
      turn(...TURNS[event.key]);
      turned();
    }
    if (!cells) return;
    const start = hovered < 0 ? (panel.selected ?? -1) : hovered;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -cells.columns, ArrowDown: cells.columns };
    if (event.key in steps) {
      const next = start < 0 ? 0 : start + steps[event.key];
      if (next >= 0 && next < cells.count) hover(next);
    } else if (event.key === "Home") hover(0);
    else if (event.key === "End") hover(cells.count - 1);
    else if ((event.key === "Enter" || event.key === " ") && hovered >= 0 && panel.pickable) pick(panel.id, hovered);
    else return;
    event.preventDefault();
  });
  frame.addEventListener("blur", () => hover(-1));

  // Below its button, or above it, wherever the page is scrolled to.
  const place = () => {
    const at = ask.getBoundingClientRect();
    const box = equation.getBoundingClientRect();
    const below = at.bottom + 6 + box.height < window.innerHeight;
    equation.style.left = `${Math.max(8, Math.min(at.right - box.width, window.innerWidth - box.width - 8))}px`;
    equation.style.top = `${below ? at.bottom + 6 : at.top - box.height - 6}px`;
  };
  const close = () => equation.matches(":popover-open") && equation.hidePopover();
  // MathML is written only when it is looked at: it costs as much as a picture.
  const write = () => {
    if (shownEquation !== panel.equation) equation.innerHTML = shownEquation = panel.equation;
  };
  ask.addEventListener("click", () => {
    if (equation.matches(":popover-open")) return close();
    write();
    equation.showPopover();
  });
  equation.addEventListener("toggle", ({ newState }) => {
    const listen = newState === "open" ? window.addEventListener : window.removeEventListener;
    listen("scroll", place, true);
    listen("resize", place);
    if (newState === "open") place();
  });
  root.addEventListener("keydown", (event) => event.key === "Escape" && close());

  save.addEventListener("click", async () => {
    const [ratioWidth, ratioHeight] = panel.aspect;
    const scale = Math.max(1, Math.round(DOWNLOAD_SIZE / Math.max(ratioWidth, ratioHeight)));
    const copy = new OffscreenCanvas(ratioWidth * scale, ratioHeight * scale);
    draw(copy, copy.width, copy.height);
    const url = URL.createObjectURL(await copy.convertToBlob({ type: "image/png" }));
    element("a", { href: url, download: panel.download }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });

  return {
    root,
    paint,
    update(next, blob, force) {
      if (!force && next.digest === panel?.digest) return;
      panel = next;
      draws = panel.layers.map((layer, i) => DECODERS[layer.kind](layer, blob, theme, scratch(i)));
      cells = cellsOf(panel, panel.layers);
      solid = panel.layers.some((layer) => layer.kind === "voxels");
      if (hovered >= (cells?.count ?? 0)) hovered = -1;
      text = panel.lines.join("\n");
      setText(title, panel.title);
      setText(subtitle, panel.subtitle);
      if (hovered < 0) setText(lines, text);
      lines.hidden = !text && !cells;
      ask.hidden = !panel.equation;
      if (equation.matches(":popover-open")) write();
      if (!panel.equation) close();
      save.hidden = !panel.download;
      setAttribute(save, "aria-label", `Download ${panel.title || panel.alt} as PNG`);
      setAttribute(ask, "aria-label", `Equation of ${panel.title}`);
      setAttribute(canvas, "aria-label", panel.alt);
      setAttribute(canvas, "style", `aspect-ratio: ${panel.aspect.join(" / ")}`);
      canvas.classList.toggle("pickable", Boolean(cells && panel.pickable));
      canvas.classList.toggle("solid", solid);
      frame.hidden = panel.layers.length === 0;
      root.classList.toggle("words", frame.hidden);
      setAttribute(frame, "tabindex", cells || solid ? 0 : null);
      setAttribute(frame, "role", cells ? "listbox" : null);
      setAttribute(frame, "aria-label", cells ? panel.alt : null);
      setAttribute(frame, "aria-activedescendant", cells ? "active" : null);
      setAttribute(active, "aria-setsize", cells?.count ?? null);
      active.hidden = !cells;
      while (rows.children.length > panel.rows.length) rows.lastChild.remove();
      panel.rows.forEach(({ label, text: number, share, marked, color }, i) => {
        const row = rows.children[i] ?? rows.appendChild(element("div", {}, element("span"), element("span")));
        setText(row.children[0], label);
        setText(row.children[1], number);
        row.classList.toggle("marked", marked);
        const bar = `--share: ${100 * Math.min(1, Math.max(0, share))}%`;
        setAttribute(row, "style", color ? `${bar}; --color: ${color}` : bar);
      });
      paint();
    },
    isSolid: () => solid,
    follows: (key) =>
      panel.layers.some((layer) => [layer.low, layer.high, layer.opacity, layer.gamma].some((number) => number?.key === key)),
    remove() {
      close();
      watcher.disconnect();
      root.remove();
    },
  };
}

function mount(shadow) {
  const grid = element("div", { class: "grid" });
  shadow.append(grid);
  const panels = new Map();
  let header = null;
  let latest = null;
  let pick = null;
  let colors = null;
  const theme = () => {
    if (!colors) {
      const style = getComputedStyle(grid);
      colors = {
        text: style.getPropertyValue("--st-text-color"),
        background: style.getPropertyValue("--st-background-color"),
        primary: style.getPropertyValue("--st-primary-color"),
        faint: style.getPropertyValue("--faint"),
        slice: style.getPropertyValue("--slice"),
        line: style.getPropertyValue("--line"),
      };
    }
    return colors;
  };

  const turned = () => {
    for (const panel of panels.values()) if (panel.isSolid()) panel.paint();
  };
  const follow = ({ detail }) => {
    let touched = false;
    for (const panel of panels.values())
      if (panel.follows(detail.key)) {
        panel.paint();
        touched = true;
      }
    if (touched) painted(header.key);
  };
  window.addEventListener("camdrop:live", follow);

  return {
    update({ data, setTriggerValue }) {
      const force = data === latest; // the same message again: the theme has changed
      latest = data;
      const message = unpack(data);
      header = message.header;
      pick = (panel, index) => setTriggerValue("picked", { panel, index });
      colors = null;
      const columns = Math.min(header.columns, header.panels.length);
      grid.style.setProperty("--columns", columns);
      grid.style.setProperty("--gap", `${GAP}px`);
      grid.style.setProperty("--min", `${header.min_width}px`);
      grid.style.maxWidth = `${columns * header.max_width + (columns - 1) * GAP}px`;
      const ids = new Set(header.panels.map((panel) => panel.id));
      for (const [id, panel] of panels)
        if (!ids.has(id)) {
          panel.remove();
          panels.delete(id);
        }
      header.panels.forEach((next, i) => {
        if (!panels.has(next.id)) panels.set(next.id, makePanel(theme, (...args) => pick(...args), turned));
        const panel = panels.get(next.id);
        if (grid.children[i] !== panel.root) grid.insertBefore(panel.root, grid.children[i] ?? null);
        panel.update(next, message.blob, force);
      });
      painted(header.key);
    },
    unmount() {
      window.removeEventListener("camdrop:live", follow);
      for (const panel of panels.values()) panel.remove();
    },
  };
}

export default component(mount);
