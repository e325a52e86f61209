// pictures: panels in a grid. A panel stays for life and is only repainted. See ui/components/pictures.py.

const GAP = 16; // px between panels

// CSS variables of what canvases paint with. Those of `--st-` are Streamlit's, or of the page that stands in for it.
const COLORS = {
  text: "--st-text-color",
  background: "--st-background-color",
  primary: "--st-primary-color",
  faint: "--faint",
  slice: "--slice",
  line: "--line",
};

// The page's colours as read when first asked for: reading them costs.
function makeTheme(node) {
  let colors = null;
  return {
    read() {
      if (!colors) {
        const style = getComputedStyle(node);
        colors = Object.fromEntries(Object.entries(COLORS).map(([name, at]) => [name, style.getPropertyValue(at)]));
      }
      return colors;
    },
    forget() {
      colors = null;
    },
  };
}

function sizeGrid(grid, { columns: most, panels, min_width, max_width }) {
  const columns = Math.min(most, panels.length);
  grid.style.setProperty("--columns", columns);
  grid.style.setProperty("--gap", `${GAP}px`);
  grid.style.setProperty("--min", `${min_width}px`);
  grid.style.maxWidth = `${columns * max_width + (columns - 1) * GAP}px`;
}

function mount(root) {
  const note = element("p", { class: "note" });
  const grid = element("div", { class: "grid" });
  const board = element("div", { class: "board" }, note, grid);
  root.append(board);
  const theme = makeTheme(grid);
  const panels = new Map();
  let header = null;
  let shown = null;
  let latest = null;
  let pick = null;

  const pickFrom = (...picked) => pick(...picked);
  // Small pictures that are presented have no lines of their own.
  const told = (words) => stage.isOn() && setText(note, words || said());
  const stage = makeStage(board, grid, () => makePanel(theme.read, pickFrom, turned, { staged: true }));
  const turned = () => {
    for (const panel of panels.values()) if (panel.isSolid()) panel.paint();
  };
  // A slider or choice has moved. If all pictures that it concerns can follow, the server need not: see slider.js.
  const follow = (event) => {
    const { key } = event.detail;
    showWaiting();
    stage.follow(key);
    const followers = [...panels.values()].filter((panel) => panel.follows(key));
    for (const panel of followers) panel.follow();
    if (followers.length) showNote();
    const here = header.state && key in header.state.at;
    if (here && wanted(header)) show(wanted(header), false);
    else if (followers.length) painted(header.key);
    if (here || (header.state && followers.length)) {
      const able = here ? wanted(header) : header.state.along.includes(key);
      if (able) event.preventDefault();
      else event.detail.missing = true;
    }
  };
  const receive = () => {
    if (header.state && wanted(header) && wanted(header) !== shown) show(wanted(header), false);
  };
  window.addEventListener("camdrop:live", follow);
  window.addEventListener("camdrop:ahead", receive);

  function updatePanels(blob, force) {
    const ids = new Set(header.panels.map((panel) => panel.id));
    for (const [id, panel] of panels)
      if (!ids.has(id)) {
        panel.remove();
        panels.delete(id);
      }
    header.panels.forEach((next, i) => {
      if (!panels.has(next.id)) panels.set(next.id, makePanel(theme.read, pickFrom, turned, { told }));
      const panel = panels.get(next.id);
      if (grid.children[i] !== panel.root) grid.insertBefore(panel.root, grid.children[i] ?? null);
      panel.update(next, blob, force);
    });
  }

  // What only the server can draw is pale while the hand is elsewhere.
  function showWaiting() {
    const waits = Object.entries(header.waits ?? {});
    grid.classList.toggle("waits", waits.some(([key, value]) => (live[key] ?? value) !== value));
  }
  const said = () => (header.note === null ? "" : say(header.note) || "\u00a0");
  function showNote() {
    note.hidden = header.note === null;
    setText(note, said());
  }
  function show(message, force) {
    shown = message;
    header = message.header;
    sizeGrid(grid, header);
    showNote();
    showWaiting();
    updatePanels(message.blob, force);
    stage.update(message);
    if (force) stage.repaint();
    painted(header.key);
  }

  return {
    update({ data, setTriggerValue }) {
      const force = data === latest; // the same message again: the theme has changed
      latest = data;
      pick = ({ id, sets, moves }, index) => {
        // A slider that takes the value tells the server by itself.
        if (moves && moveTo(moves.key, moves.values[index])) return;
        if (sets) goTo(sets, index);
        setTriggerValue("picked", { panel: id, index });
      };
      theme.forget();
      if (force) return show(shown, true);
      const message = unpack(data);
      if (message.header.state) catchUp(message.header.state);
      if (message.header.planned) window.dispatchEvent(new CustomEvent("camdrop:planned"));
      if (message.header.state && !(wanted(message.header)?.header.state.along.length > 0)) keep([message], data.length);
      // The hand may be further on than the server.
      show((message.header.state && wanted(message.header)) ?? message, false);
    },
    unmount() {
      window.removeEventListener("camdrop:live", follow);
      window.removeEventListener("camdrop:ahead", receive);
      for (const panel of panels.values()) panel.remove();
    },
  };
}

export default component(mount);
