// Pointing at the cells of a picture, by pointer and keys: to a screen reader a listbox whose one option is the active.

// What can be pointed at: tiles of a mosaic or bars. at(x, y) and box(index) are in shares of the picture, 0 to 1.
function cellsOf({ tiles, layers }) {
  const bar = layers.find((layer) => layer.kind === "bars");
  if (bar) {
    const count = bar.count;
    return { count, columns: count, at: (x) => Math.floor(x * count), box: (i) => [i / count, 0, 1 / count, 1] };
  }
  if (!tiles) return null;
  const { columns, count, width, height, gap } = tiles;
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

// With a rim, so that it is seen on any picture.
function outline(context, [x, y, width, height], color, rim, w, h) {
  for (const [stroke, thick] of [[rim, 5], [color, 2.5]]) {
    context.lineWidth = thick * devicePixelRatio;
    context.strokeStyle = stroke;
    context.strokeRect(x * w, y * h, Math.max(width * w, 1), height * h);
  }
}

// `changed(label)` is called with what is pointed at, "" for nothing; `pick(panel, index)` at a click or Enter.
function addHover(frame, canvas, theme, changed, pick) {
  const active = element("div", { role: "option", id: "active", "aria-selected": "true" });
  frame.append(active);
  let panel = null;
  let cells = null;
  let hovered = -1;
  let read = null; // what is under the pointer, where there are no cells
  let pointed = null;

  // What is said of the cell that is pointed at, "" for none.
  function words() {
    const label = hovered < 0 ? "" : say(panel.labels[hovered] ?? String(hovered));
    setText(active, label);
    active.hidden = hovered < 0; // nothing is an option until something is pointed at
    setAttribute(frame, "aria-activedescendant", active.hidden ? null : "active");
    setAttribute(frame, "aria-label", cells ? say(panel.alt) : null);
    return read && pointed ? read(...pointed, canvas.clientWidth, canvas.clientHeight) : label;
  }
  function hover(index) {
    if (!cells || index >= cells.count || index < -1) index = -1;
    if (index === hovered) return;
    hovered = index;
    active.setAttribute("aria-posinset", index + 1);
    changed(words());
  }
  const selected = () => {
    if (panel.moves?.key in live) return panel.moves.values.indexOf(live[panel.moves.key]);
    return panel.selected === null ? -1 : current(panel.selected);
  };
  const canPick = () => hovered >= 0 && panel.pickable;
  const shareOf = (event) => [event.offsetX / canvas.clientWidth, event.offsetY / canvas.clientHeight];
  const under = (event) => cells.at(...shareOf(event));
  function point(place) {
    pointed = place;
    changed(words());
  }

  canvas.addEventListener("pointermove", (event) => {
    if (cells) hover(under(event));
    else if (read) point(shareOf(event));
  });
  canvas.addEventListener("pointerleave", () => (read ? point(null) : hover(-1)));
  canvas.addEventListener("click", (event) => {
    if (!cells) return;
    hover(under(event));
    if (canPick()) pick(panel, hovered);
  });
  frame.addEventListener("keydown", (event) => {
    if (!cells) return;
    const start = hovered < 0 ? selected() : hovered;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -cells.columns, ArrowDown: cells.columns };
    if (event.key in steps) {
      const next = start < 0 ? 0 : start + steps[event.key];
      if (next >= 0 && next < cells.count) hover(next);
    } else if (event.key === "Home") hover(0);
    else if (event.key === "End") hover(cells.count - 1);
    else if ((event.key === "Enter" || event.key === " ") && canPick()) pick(panel, hovered);
    else return;
    event.preventDefault();
  });
  frame.addEventListener("blur", () => hover(-1));

  return {
    paint(context, w, h) {
      if (!cells) return;
      const mark = (index, color) => outline(context, cells.box(index), theme()[color], theme().background, w, h);
      if (selected() >= 0) mark(selected(), "text");
      if (hovered >= 0) mark(hovered, "primary");
    },
    words,
    update(next, nextCells, blob) {
      panel = next;
      cells = nextCells;
      const solid = panel.layers.find((layer) => layer.kind === "voxels");
      read = null;
      if (solid && panel.labels.length) read = readVoxels(solid, panel.labels, blob);
      else if (!cells && panel.readings.length) read = decodeReadings(panel.readings, blob);
      if (hovered >= (cells?.count ?? 0)) hovered = -1;
      canvas.classList.toggle("pickable", Boolean(cells && panel.pickable));
      setAttribute(frame, "role", cells ? "listbox" : null);
      setAttribute(active, "aria-setsize", cells?.count ?? null);
      setAttribute(canvas, "aria-hidden", cells ? true : null); // the listbox tells what it shows
    },
  };
}
