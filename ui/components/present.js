// present: the button that fills the screen with the steps of a board, one after the other. See ui/components/present.py.

const STEPS = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };

const isField = (node) => node instanceof Element && node.matches("input, select, textarea");

function mount(root) {
  const button = element("button", { type: "button", class: "camdrop-present" });
  root.append(button);
  let last = null; // step; null before the first message
  let at = null;
  let label = "";
  const address = makeAddress(() => ["present", at === null ? null : String(at)]);

  function go(step) {
    at = step === null ? null : Math.min(last, Math.max(0, step));
    document.documentElement.toggleAttribute("data-present", at !== null);
    setText(button, at === null ? label : "✕");
    setAttribute(button, "aria-label", at === null ? label : "End the presentation");
    announce("present", at);
    address.schedule(ADDRESS_DELAY);
  }
  function press(event) {
    if (at === null || event.ctrlKey || event.altKey || event.metaKey) return;
    // Keys belong to the slider that they have been moved to, but for those of a presenter's remote control.
    if (isField(event.composedPath()[0]) && !event.key.startsWith("Page")) return;
    if (event.key === "Escape") go(null);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(last);
    else if (event.key in STEPS) go(at + STEPS[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  // After a drag the arrow keys go from step to step again.
  const release = (event) => {
    const [field] = event.composedPath();
    if (at !== null && isField(field) && field.type === "range") setTimeout(() => field.blur());
  };
  button.addEventListener("click", () => {
    go(at === null ? 0 : null);
    button.blur();
  });
  window.addEventListener("keydown", press, true);
  window.addEventListener("pointerup", release, true);
  const stopListening = listenToSetting(() => "present", go);

  return {
    update({ data }) {
      const first = last === null;
      last = data.steps - 1;
      label = data.label;
      button.title = data.help;
      const linked = first && new URL(window.location.href).searchParams.get("present");
      if (first) go(typeof linked === "string" ? Number.parseInt(linked, 10) || 0 : null);
    },
    unmount() {
      address.stop();
      stopListening();
      window.removeEventListener("keydown", press, true);
      window.removeEventListener("pointerup", release, true);
      document.documentElement.removeAttribute("data-present");
      live.present = null;
    },
  };
}

export default component(mount);
