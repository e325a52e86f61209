// One panel: a picture with its words and rows, and what is added to it: hover, turning, equation, download.

// `staged` is the one that is presented: its equation stands beside the picture, not behind a button. `told(words)` is
// called with what is said of what is pointed at.
function makePanel(theme, pick, turned, { staged = false, told = () => {} } = {}) {
  const title = element("div", { class: "title" });
  const subtitle = element("div", { class: "subtitle" });
  const picture = makeCanvas(theme, (...area) => hover.paint(...area));
  const frame = element("div", { class: "frame" }, picture.canvas);
  const rows = element("div", { class: "rows" });
  const lines = element("div", { class: "lines" });
  const head = element("div", { class: "head" }, element("div", {}, title, subtitle));
  const root = element("figure", {}, head, frame, lines, rows);

  let panel = null;
  let solid = false; // shows voxels, and so can be turned
  const showLines = (label) => setWords(lines, label || panel.lines.map(say).join("\n"));
  const changed = (label) => {
    // What is said of what is pointed at moves nothing below it.
    if (!label) lines.style.minHeight = "";
    else lines.style.minHeight ||= `${lines.offsetHeight}px`;
    showLines(label);
    told(label && `${panel.title}: ${label}`);
    picture.paint();
  };
  const turning = addTurning(frame, picture.canvas, turned);
  const hover = addHover(frame, picture.canvas, theme, changed, pick);
  const equation = addEquation(root, head, staged);
  const download = addDownload(head, picture.paintLayers);

  // All that may follow a slider but the picture.
  function showWords() {
    setAttribute(picture.canvas, "aria-label", say(panel.alt));
    showLines(hover.words());
    equation.update(panel);
    updateRows(rows, panel.rows);
  }

  return {
    root,
    paint: picture.paint,
    follow() {
      showWords();
      picture.paint();
    },
    update(next, blob, force) {
      if (!force && next.digest === panel?.digest) return;
      panel = next;
      const cells = cellsOf(panel);
      solid = panel.layers.some((layer) => layer.kind === "voxels");
      picture.update(panel, blob);
      turning.update(solid, cells);
      hover.update(panel, cells, blob);
      download.update(panel);
      setWords(title, panel.title);
      setWords(subtitle, panel.subtitle);
      lines.hidden = ![panel.lines, panel.readings, panel.labels].some((told) => told.length) && !cells;
      frame.hidden = panel.layers.length === 0;
      root.classList.toggle("words", frame.hidden);
      setAttribute(frame, "tabindex", cells || solid ? 0 : null);
      showWords();
      picture.paint();
    },
    isSolid: () => solid,
    follows: (key) => panel.follows.includes(key),
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
    setWords(row.children[0], label);
    setText(row.children[1], say(text));
    row.classList.toggle("marked", marked);
    const bar = `--share: ${100 * Math.min(1, Math.max(0, say(share)))}%`;
    setAttribute(row, "style", color ? `${bar}; --color: ${color}` : bar);
  });
}
