// Shared by all components. component.py serves each as one module: this file, the component's parts, its own file.
// So the files import nothing from each other, and what they define at the top has one name in all.

// The values that sliders show right now, by key. On window, because every component is a module of its own.
const live = (window.camdropLive ??= {});

// A number that may follow a slider: 0.5 or {key: "opacity", value: 0.5}.
const current = (number) => (typeof number === "object" ? (live[number.key] ?? number.value) : number);

// A text or number of a message as the sliders stand: as it is, or what it is along one (`Along`), or parts to join.
function say(text) {
  if (Array.isArray(text)) return text.map(say).join("");
  if (text === null || typeof text !== "object") return text;
  const at = Math.round(100 * current(text.live));
  return text.values[Math.max(0, text.starts.findLastIndex((start) => start <= at))];
}

// Unpacks what ui/components/packing.py packs. Returns the header and blob(name), which copies, since typed arrays need
// aligned offsets.
function unpack(bytes) {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const start = 4 + size + ((4 - (size % 4)) % 4);
  const blob = (name) => {
    const [offset, length] = header.blobs[name];
    return bytes.slice(start + offset, start + offset + length);
  };
  return { header, blob };
}

// Tells tests and the bench that a picture is on the screen: after the next frame was painted.
function painted(key) {
  requestAnimationFrame(() =>
    setTimeout(() =>
      window.dispatchEvent(new CustomEvent("camdrop:painted", { detail: { key, time: performance.now() } })),
    ),
  );
}

// The function that Streamlit calls at the first and at each further message for the same element. What it returns is
// called when the element goes, but also when a message is overtaken by the next one: hence `isConnected`.
function component(mount) {
  const mounted = new WeakMap();
  return (message) => {
    const root = message.parentElement;
    if (!mounted.has(root)) mounted.set(root, mount(root));
    const part = mounted.get(root);
    part.update(message);
    return () => setTimeout(() => root.isConnected || part.unmount());
  };
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Only what has changed is written: what is not touched needs no new style and layout.
const setText = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};
const setAttribute = (node, name, value) => {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
};
