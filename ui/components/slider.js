// live_slider: one line of label, range and number. See ui/components/slider.py for what the data mean.

const INTERVAL = 40; // ms between two messages to the server while dragging, at least
const PATIENCE = 1000; // ms to wait for the server's word that it has heard the last one
const ADDRESS_DELAY = 250; // ms of rest before the address bar is written: browsers limit how often one may

const POSITIONS = 400; // of a logarithmic range

function mount(root) {
  const label = element("label", { for: "range" });
  const help = element("span", { class: "help", tabindex: "0", role: "note" }, "?");
  const range = element("input", { type: "range", id: "range" });
  const number = element("input", { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false" });
  root.append(element("div", { class: "slider" }, element("span", { class: "name" }, label, help), range, number));

  let data = null;
  let send = null;
  let value = null;
  let sent = null;
  let sentAt = -Infinity;
  let turn = Date.now(); // counts the messages, and starts where no earlier life of this slider has been
  let sendTimer;
  let released = false; // and not yet sent
  let addressTimer;

  const clamp = (x) => Math.min(data.max, Math.max(data.min, x));
  const snap = (x) => {
    if (data.log) return clamp(data.integer ? Math.round(x) : Number(x.toPrecision(3)));
    // toPrecision hides the last bits of binary fractions: 0.30000000000000004 is 0.3.
    return clamp(Number((data.min + Math.round((x - data.min) / data.step) * data.step).toPrecision(12)));
  };
  const toPosition = (x) => (data.log ? (POSITIONS * Math.log(x / data.min)) / Math.log(data.max / data.min) : x);
  const fromPosition = (p) => (data.log ? data.min * (data.max / data.min) ** (p / POSITIONS) : p);

  function format(x) {
    const [, before, decimals, kind, after] = data.format.match(/^(.*?)%(?:\.(\d+))?([dfg])(.*)$/);
    const digits = kind === "g" ? String(Number(x.toPrecision(decimals ?? 6))) : x.toFixed(kind === "d" ? 0 : (decimals ?? 2));
    return (before + digits + after).replaceAll("%%", "%");
  }

  function show() {
    const position = toPosition(value);
    range.value = position;
    range.setAttribute("aria-valuetext", format(value));
    range.style.setProperty("--fill", `${(100 * (position - range.min)) / (range.max - range.min || 1)}%`);
    if (root.activeElement !== number) number.value = format(value);
  }

  // One message at a time, and the latest value when the server has heard the last: so a drag never piles up work, and
  // eight people who drag at once share the server evenly.
  function transmit() {
    sent = value;
    sentAt = performance.now();
    released = false;
    turn += 1;
    send("state", { value, revision: data.revision, turn });
  }
  function transmitSoon() {
    clearTimeout(sendTimer);
    const wait = sentAt + (data.heard === turn ? INTERVAL : PATIENCE) - performance.now();
    if (wait <= 0) transmit();
    else sendTimer = setTimeout(transmit, wait);
  }

  // What the link says is left alone by Streamlit's own bound widgets, which change only their own parameter. But the
  // server pushes its stale copy of the whole query when the page sets a bound widget; then `keepAddress` mends ours.
  function writeAddress() {
    const url = new URL(window.location.href);
    const text = value === data.default ? null : String(value);
    if (url.searchParams.get(data.key) === text) return;
    if (text === null) url.searchParams.delete(data.key);
    else url.searchParams.set(data.key, text);
    window.history.replaceState(window.history.state, "", url);
  }
  function scheduleAddress(delay) {
    clearTimeout(addressTimer);
    addressTimer = setTimeout(writeAddress, delay);
  }
  const path = window.location.pathname;
  const keepAddress = (event) => {
    if (event.navigationType !== "traverse" && window.location.pathname === path) scheduleAddress(0);
  };
  window.navigation?.addEventListener("currententrychange", keepAddress);

  function change(x, isRelease) {
    value = snap(x);
    show();
    if (live[data.key] !== value) {
      live[data.key] = value;
      window.dispatchEvent(new CustomEvent("camdrop:live", { detail: { key: data.key, value } }));
    }
    released ||= isRelease;
    if (value !== sent && (released || !data.local)) transmitSoon();
    if (isRelease) scheduleAddress(ADDRESS_DELAY);
  }

  range.addEventListener("input", () => change(fromPosition(Number(range.value)), false));
  range.addEventListener("change", () => change(fromPosition(Number(range.value)), true));
  range.addEventListener("dblclick", () => change(data.default, true));
  number.addEventListener("focus", () => {
    number.value = String(value);
    number.select();
  });
  number.addEventListener("change", () => {
    const typed = Number.parseFloat(number.value.replace(",", "."));
    if (Number.isFinite(typed)) change(clamp(typed), true);
  });
  number.addEventListener("blur", () => show());
  number.addEventListener("keydown", (event) => {
    if (event.key === "Enter") number.blur();
    else if (event.key === "Escape") {
      number.value = String(value);
      number.blur();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      const direction = event.key === "ArrowUp" ? 1 : -1;
      change(data.log ? fromPosition(toPosition(value) + 4 * direction) : value + direction * data.step, true);
      number.value = String(value);
    }
  });

  return {
    update({ data: next, setStateValue }) {
      const first = data === null || next.revision !== data.revision;
      data = next;

      send = setStateValue;
      setText(label, data.label);
      label.title = data.label;
      setText(help, data.help ? "?" : "");
      help.title = data.help;
      help.hidden = !data.help;
      help.setAttribute("aria-label", data.help);
      range.setAttribute("aria-label", data.label);
      number.setAttribute("aria-label", `${data.label}, as a number from ${format(data.min)} to ${format(data.max)}`);
      range.title = `Double-click for ${format(data.default)}`;
      [range.min, range.max, range.step] = data.log ? [0, POSITIONS, 1] : [data.min, data.max, data.step];
      range.disabled = number.disabled = data.disabled;
      if (first) {
        clearTimeout(sendTimer);
        released = false;
        sent = value = data.value;
      }
      change(value, false);
      if (first) scheduleAddress(0);
    },
    unmount() {
      clearTimeout(sendTimer);
      clearTimeout(addressTimer);
      window.navigation?.removeEventListener("currententrychange", keepAddress);
    },
  };
}

export default component(mount);
