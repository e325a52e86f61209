// One panel: a picture with its words and rows, and what is added to it: hover, turning, equation, download.

function makePanel(theme, pick, turned) {
  const title = element("div", { class: "title" });
  const subtitle = element("div", { class: "subtitle" });
  const picture = makeCanvas(theme, (...area) => hover.paint(...area));
  const frame = element("div", { class: "frame" }, picture.canvas);
  const rows = element("div", { class: "rows" });
  const lines = element("div", { class: "lines" });
  const head = element("div", { class: "head" }, element("div", {}, title, subtitle));
  const root = element("figure", {}, head, frame, lines, rows);

  let panel = null;
  let text = "";
  let solid = false; // shows voxels, and so can be turned
  const changed = (label) => {
    setText(lines, label || text);
    picture.paint();
  };
  const turning = addTurning(frame, picture.canvas, turned);
  const hover = addHover(frame, picture.canvas, theme, changed, pick);
  const equation = addEquation(root, head);
  const download = addDownload(head, picture.paintLayers);

  return {
    root,
    paint: picture.paint,
    update(next, blob, force) {
      if (!force && next.digest === panel?.digest) return;
      panel = next;
      const cells = cellsOf(panel);
      solid = panel.layers.some((layer) => layer.kind === "voxels");
      text = panel.lines.join("\n");
      picture.update(panel, blob);
      turning.update(solid, cells);
      hover.update(panel, cells);
      equation.update(panel);
      download.update(panel);
      setText(title, panel.title);
      setText(subtitle, panel.subtitle);
      if (!hover.isActive()) setText(lines, text);
      lines.hidden = !text && !cells;
      frame.hidden = panel.layers.length === 0;
      root.classList.toggle("words", frame.hidden);
      setAttribute(frame, "tabindex", cells || solid ? 0 : null);
      updateRows(rows, panel.rows);
      picture.paint();
    },
    isSolid: () => solid,
    follows: picture.follows,
    remove() {
      equation.remove();
      picture.remove();
      root.remove();
    },
  };
}

function updateRows(root, rows) {
  while (root.children.length > rows.length) root.lastChild.remove();
  rows.forEach(({ label, text, share, marked, color }, i) => {
    const row = root.children[i] ?? root.appendChild(element("div", {}, element("span"), element("span")));
    setText(row.children[0], label);
    setText(row.children[1], text);
    row.classList.toggle("marked", marked);
    const bar = `--share: ${100 * Math.min(1, Math.max(0, share))}%`;
    setAttribute(row, "style", color ? `${bar}; --color: ${color}` : bar);
  });
}
