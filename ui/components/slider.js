// live_slider: one line of label, range and number. See ui/components/slider.py for what the data mean.

const INTERVAL = 40; // ms between two messages to the server while dragging, at least
const PATIENCE = 1000; // ms to wait for the server's word that it has heard the last one
const ADDRESS_DELAY = 250; // ms of rest before the address bar is written: browsers limit how often one may
const POSITIONS = 400; // of a logarithmic range

const clamp = (x, { min, max }) => Math.min(max, Math.max(min, x));

// The nearest value that the slider can have: the same rounding as in slider.py.
function snap(x, data) {
  if (data.log) return clamp(data.integer ? Math.round(x) : Number(x.toPrecision(3)), data);
  // toPrecision hides the last bits of binary fractions: 0.30000000000000004 is 0.3.
  return clamp(Number((data.min + Math.round((x - data.min) / data.step) * data.step).toPrecision(12)), data);
}

// Positions of the range are the values themselves, or 0 to POSITIONS where it is logarithmic.
const toPosition = (x, { log, min, max }) => (log ? (POSITIONS * Math.log(x / min)) / Math.log(max / min) : x);
const fromPosition = (p, { log, min, max }) => (log ? min * (max / min) ** (p / POSITIONS) : p);

// The value after an arrow key.
const stepped = (x, direction, data) =>
  data.log ? fromPosition(toPosition(x, data) + 4 * direction, data) : x + direction * data.step;

// A number by a printf format: what st.slider knows of it.
function format(x, pattern) {
  const [, before, decimals, kind, after] = pattern.match(/^(.*?)%(?:\.(\d+))?([dfg])(.*)$/);
  const places = kind === "d" ? 0 : (decimals ?? 2);
  const digits = kind === "g" ? String(Number(x.toPrecision(decimals ?? 6))) : x.toFixed(places);
  return (before + digits + after).replaceAll("%%", "%");
}

// Tells the pictures that a slider has moved. Returns whether all that it concerns have followed by themselves.
function announce(key, value) {
  const event = new CustomEvent("camdrop:live", { cancelable: true, detail: { key, value } });
  window.dispatchEvent(event);
  return event.defaultPrevented && !event.detail.missing;
}

// Sends values to the server: one message at a time, and the latest value when the server has heard the last. So a drag
// never piles up work, and eight people who drag at once share the server evenly.
function makeSender() {
  let data = null;
  let send = null;
  let value = null;
  let sent = null;
  let sentAt = -Infinity;
  let turn = Date.now(); // counts the messages, and starts where no earlier life of this slider has been
  let released = false; // and not yet sent
  let timer;

  function transmit() {
    sent = value;
    sentAt = performance.now();
    released = false;
    turn += 1;
    send("state", { value, revision: data.revision, turn });
  }
  const stop = () => clearTimeout(timer);

  return {
    stop,
    update(next, setStateValue) {
      data = next;
      send = setStateValue;
    },
    // The server knows this value, and awaits no other.
    start(known) {
      stop();
      released = false;
      sent = known;
    },
    // `followed`: the browser shows it already, so that the release is soon enough for the server.
    offer(next, isRelease, followed) {
      value = next;
      released ||= isRelease;
      if (value === sent || ((data.local || followed) && !released)) return;
      stop();
      const wait = sentAt + (data.heard === turn ? INTERVAL : PATIENCE) - performance.now();
      if (wait <= 0) transmit();
      else timer = setTimeout(transmit, wait);
    },
  };
}

// Keeps a parameter of the page's address at what `parameter()` says, [key, text] with null for none.
// What the link says is left alone by Streamlit's own bound widgets, which change only their own parameter. But the
// server pushes its stale copy of the whole query when the page sets a bound widget; then `keep` mends ours.
function makeAddress(parameter) {
  let timer;
  function write() {
    const url = new URL(window.location.href);
    const [key, text] = parameter();
    if (url.searchParams.get(key) === text) return;
    if (text === null) url.searchParams.delete(key);
    else url.searchParams.set(key, text);
    window.history.replaceState(window.history.state, "", url);
  }
  function schedule(delay) {
    clearTimeout(timer);
    timer = setTimeout(write, delay);
  }
  const path = window.location.pathname;
  const keep = (event) => {
    if (event.navigationType !== "traverse" && window.location.pathname === path) schedule(0);
  };
  window.navigation?.addEventListener("currententrychange", keep);
  return {
    schedule,
    stop() {
      clearTimeout(timer);
      window.navigation?.removeEventListener("currententrychange", keep);
    },
  };
}

// The parts of the slider as the data say them, but for the value.
function setUp({ label, help, range, number }, data) {
  setText(label, data.label);
  label.title = data.label;
  setText(help, data.help ? "?" : "");
  help.title = data.help;
  help.hidden = !data.help;
  help.setAttribute("aria-label", data.help);
  const [least, most, usual] = [data.min, data.max, data.default].map((x) => format(x, data.format));
  range.setAttribute("aria-label", data.label);
  number.setAttribute("aria-label", `${data.label}, as a number from ${least} to ${most}`);
  range.title = `Double-click for ${usual}`;
  [range.min, range.max, range.step] = data.log ? [0, POSITIONS, 1] : [data.min, data.max, data.step];
  range.disabled = number.disabled = data.disabled;
}

// The number as a text field: in it the plain value, elsewhere the formatted one. `slider` is what `mount` gives it.
function listenToNumber(number, slider) {
  const showPlain = () => {
    number.value = String(slider.value());
  };
  number.addEventListener("focus", () => {
    showPlain();
    number.select();
  });
  number.addEventListener("change", () => {
    const typed = Number.parseFloat(number.value.replace(",", "."));
    if (Number.isFinite(typed)) slider.enter(typed);
  });
  number.addEventListener("blur", slider.show);
  number.addEventListener("keydown", (event) => {
    if (event.key === "Enter") number.blur();
    else if (event.key === "Escape") {
      showPlain();
      number.blur();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      slider.step(event.key === "ArrowUp" ? 1 : -1);
      showPlain();
    }
  });
}

function mount(root) {
  const label = element("label", { for: "range" });
  const help = element("span", { class: "help", tabindex: "0", role: "note" }, "?");
  const range = element("input", { type: "range", id: "range" });
  const number = element("input", { type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false" });
  root.append(element("div", { class: "slider" }, element("span", { class: "name" }, label, help), range, number));

  let data = null;
  let value = null;
  let followed = false;
  const sender = makeSender();
  const address = makeAddress(() => [data.key, value === data.default ? null : String(value)]);

  function show() {
    const position = toPosition(value, data);
    const text = format(value, data.format);
    range.value = position;
    range.setAttribute("aria-valuetext", text);
    range.style.setProperty("--fill", `${(100 * (position - range.min)) / (range.max - range.min || 1)}%`);
    if (root.activeElement !== number) number.value = text;
  }
  function change(x, isRelease) {
    value = snap(x, data);
    show();
    if (live[data.key] !== value) {
      live[data.key] = value;
      followed = announce(data.key, value);
    }
    sender.offer(value, isRelease, followed);
    if (isRelease) address.schedule(ADDRESS_DELAY);
  }

  range.addEventListener("input", () => change(fromPosition(Number(range.value), data), false));
  range.addEventListener("change", () => change(fromPosition(Number(range.value), data), true));
  range.addEventListener("dblclick", () => change(data.default, true));
  listenToNumber(number, {
    value: () => value,
    show,
    enter: (x) => change(clamp(x, data), true),
    step: (direction) => change(stepped(value, direction, data), true),
  });

  return {
    update({ data: next, setStateValue }) {
      const first = data === null || next.revision !== data.revision;
      data = next;
      sender.update(data, setStateValue);
      setUp({ label, help, range, number }, data);
      if (first) {
        value = data.value;
        sender.start(value);
      }
      change(value, false);
      if (first) address.schedule(0);
    },
    unmount() {
      sender.stop();
      address.stop();
    },
  };
}

export default component(mount);
