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
  const grid = element("div", { class: "grid" });
  root.append(grid);
  const theme = makeTheme(grid);
  const panels = new Map();
  let header = null;
  let latest = null;
  let pick = null;

  const turned = () => {
    for (const panel of panels.values()) if (panel.isSolid()) panel.paint();
  };
  const follow = ({ detail }) => {
    const followers = [...panels.values()].filter((panel) => panel.follows(detail.key));
    for (const panel of followers) panel.paint();
    if (followers.length) painted(header.key);
  };
  window.addEventListener("camdrop:live", follow);

  function updatePanels(blob, force) {
    const ids = new Set(header.panels.map((panel) => panel.id));
    for (const [id, panel] of panels)
      if (!ids.has(id)) {
        panel.remove();
        panels.delete(id);
      }
    header.panels.forEach((next, i) => {
      if (!panels.has(next.id)) panels.set(next.id, makePanel(theme.read, (...picked) => pick(...picked), turned));
      const panel = panels.get(next.id);
      if (grid.children[i] !== panel.root) grid.insertBefore(panel.root, grid.children[i] ?? null);
      panel.update(next, blob, force);
    });
  }

  return {
    update({ data, setTriggerValue }) {
      const force = data === latest; // the same message again: the theme has changed
      latest = data;
      const message = unpack(data);
      header = message.header;
      pick = (panel, index) => setTriggerValue("picked", { panel, index });
      theme.forget();
      sizeGrid(grid, header);
      updatePanels(message.blob, force);
      painted(header.key);
    },
    unmount() {
      window.removeEventListener("camdrop:live", follow);
      for (const panel of panels.values()) panel.remove();
    },
  };
}

export default component(mount);
