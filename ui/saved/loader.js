// The loader of a saved page stands in for Streamlit: it mounts the app's own components in their places and hands them
// their messages. common.js goes before it. See ui/saved/page.py for what the page holds.

// The header of the pack, and the bytes behind it.
async function open(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  return { header, bytes: bytes.subarray(4 + size + ((4 - (size % 4)) % 4)) };
}

async function module({ javascript }) {
  const url = URL.createObjectURL(new Blob([javascript], { type: "text/javascript" }));
  const { default: mount } = await import(url);
  URL.revokeObjectURL(url);
  return mount;
}

const nothing = () => {};

// A component in its place. With `by` the control of that key says which of the messages is shown.
function place({ by, values, messages }, index, { css, isolate }, mount) {
  const host = document.getElementById(`part-${index}`);
  const parentElement = isolate ? host.attachShadow({ mode: "open" }) : host;
  parentElement.append(element("style", {}, css));
  let shown = 0;
  return {
    show() {
      mount({ data: messages[shown], parentElement, setStateValue: nothing, setTriggerValue: nothing });
    },
    follow({ key, value }) {
      if (key !== by) return;
      const next = values.indexOf(value);
      if (next < 0 || next === shown) return;
      shown = next;
      this.show();
    },
  };
}

// The link to the app says the state that is seen here. `parameters`: by key, the link's name and the default, which is
// left out of it.
function followLink(link, parameters) {
  return ({ key, value }) => {
    if (!(key in parameters)) return;
    const [name, usual] = parameters[key];
    const url = new URL(link.href);
    if (value === usual) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
    link.href = url.href;
  };
}

// Says so where the pictures could not go to what a control asks for. `steps` are the keys of controls that go from one
// board to another; the answer is there when all pictures have heard the event.
const tellMissing = (notice, steps) => (event) => {
  if (!steps.includes(event.detail.key)) return;
  queueMicrotask(() => {
    notice.hidden = !event.detail.missing;
  });
};

// Light, dark, or as the system has it until the button is pressed; `changed()` paints the pictures anew.
function addTheme(button, changed) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const say = () => setText(button, isDark() ? "Light" : "Dark");
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    say();
    changed();
  });
  dark.addEventListener("change", () => {
    say();
    changed();
  });
  say();
}

async function start() {
  const { header, bytes } = await open(document.getElementById("pack").textContent);
  const mounts = await Promise.all(header.components.map(module));
  const read = ({ from, to, json }) => (to ? bytes.slice(from, to) : json);
  const parts = header.parts.map((part, i) =>
    place(
      { ...part, messages: part.messages.map(read) },
      i,
      header.components[part.component],
      mounts[part.component],
    ),
  );
  const link = followLink(document.getElementById("link"), header.parameters);
  const tell = tellMissing(document.getElementById("missing"), header.steps);
  window.addEventListener("camdrop:live", (event) => {
    for (const part of parts) part.follow(event.detail);
    link(event.detail);
    tell(event);
  });
  const show = () => parts.forEach((part) => part.show());
  show();
  addTheme(document.getElementById("theme"), show);
}

start();
