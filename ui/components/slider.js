// live_slider: one line of label, range and number. See ui/components/slider.py for what the data mean.

const POSITIONS = 400; // of a logarithmic range

const clamp = (x, { min, max }) => Math.min(max, Math.max(min, x));

// The nearest value that the slider can have: the same rounding as in slider.py.
function snap(x, data) {
  if (data.values) return data.values[nearest(data.values, x)];
  if (data.log) return clamp(data.integer ? Math.round(x) : Number(x.toPrecision(3)), data);
  // toPrecision hides the last bits of binary fractions: 0.30000000000000004 is 0.3.
  return clamp(Number((data.min + Math.round((x - data.min) / data.step) * data.step).toPrecision(12)), data);
}

// The place of the value nearest to x in a sorted list.
function nearest(values, x) {
  const next = values.findIndex((value) => value >= x);
  if (next < 0) return values.length - 1;
  return next > 0 && x - values[next - 1] <= values[next] - x ? next - 1 : next;
}

// Positions of the range are the values themselves, 0 to POSITIONS where it is logarithmic, places in `values` if given.
function toPosition(x, { log, min, max, values }) {
  if (values) return nearest(values, x);
  return log ? (POSITIONS * Math.log(x / min)) / Math.log(max / min) : x;
}
function fromPosition(p, { log, min, max, values }) {
  if (values) return values[clamp(Math.round(p), { min: 0, max: values.length - 1 })];
  return log ? min * (max / min) ** (p / POSITIONS) : p;
}

// The value after an arrow key.
function stepped(x, direction, data) {
  if (!data.log && !data.values) return x + direction * data.step;
  return fromPosition(toPosition(x, data) + (data.log ? 4 : 1) * direction, data);
}

// A number by a printf format: what st.slider knows of it.
function format(x, pattern) {
  const [, before, decimals, kind, after] = pattern.match(/^(.*?)%(?:\.(\d+))?([dfg])(.*)$/);
  const places = kind === "d" ? 0 : (decimals ?? 2);
  const digits = kind === "g" ? String(Number(x.toPrecision(decimals ?? 6))) : x.toFixed(places);
  return (before + digits + after).replaceAll("%%", "%");
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
  const last = data.log ? POSITIONS : data.values && data.values.length - 1;
  [range.min, range.max, range.step] = last === null ? [data.min, data.max, data.step] : [0, last, 1];
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
  const stopListening = listenToSetting(
    () => data?.key,
    (x) => change(x, true),
  );
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
    followed = announce(data.key, value) ?? followed;
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
      stopListening();
    },
  };
}

export default component(mount);
