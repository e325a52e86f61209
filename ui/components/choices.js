// live_choices: a label, and below it a chip for each option that is chosen, and a list of the others. See
// ui/components/choices.py for what the data mean.

function mount(root) {
  const { field, setName } = makeField(root);
  const chips = element("div", { class: "chips" });
  const list = element("select");
  field.append(element("div", { class: "box" }, chips, list));
  let data = null;
  let value = null; // what is chosen, as JSON
  let drawn = null;
  const sender = makeSender();
  const address = makeAddress(() => [data.key, value === JSON.stringify(data.default) ? null : JSON.parse(value)]);

  function choose(chosen) {
    value = JSON.stringify(chosen);
    draw();
    sender.offer(value, true, announce(data.key, value));
    address.schedule(ADDRESS_DELAY);
  }
  function remove(option) {
    const chosen = JSON.parse(value);
    const place = chosen.indexOf(option);
    choose(chosen.filter((other) => other !== option));
    (chips.querySelectorAll("button")[place] ?? list).focus();
  }
  function makeChip(option) {
    const button = element("button", { type: "button", "aria-label": `Remove ${option}` }, "×");
    button.addEventListener("click", () => remove(option));
    return element("span", { class: "chip", title: option }, element("span", {}, option), button);
  }
  function draw() {
    const now = JSON.stringify([value, data.options, data.most]);
    if (now === drawn) return;
    drawn = now;
    const chosen = JSON.parse(value);
    chips.replaceChildren(...chosen.map(makeChip));
    const others = data.options.filter((option) => !chosen.includes(option));
    const full = chosen.length >= data.most;
    const hint = full ? `At most ${data.most}` : chosen.length ? "Compare with …" : "Choose …";
    const offered = full ? [] : others;
    list.replaceChildren(
      element("option", { value: "", hidden: "" }, hint),
      ...offered.map((option) => element("option", { value: option }, option)),
    );
    list.value = "";
    list.disabled = !offered.length;
  }
  list.addEventListener("change", () => choose([...JSON.parse(value), list.value]));

  return {
    update({ data: next, setStateValue }) {
      const gone = () => JSON.parse(value).some((option) => !next.options.includes(option));
      const first = data === null || next.revision !== data.revision || gone();
      data = next;
      sender.update(data, setStateValue);
      setName(data.label);
      setAttribute(list, "aria-label", data.label);
      if (first) {
        value = JSON.stringify(data.value);
        sender.start(value);
        address.schedule(0);
      }
      draw();
      announce(data.key, value);
    },
    unmount() {
      sender.stop();
      address.stop();
    },
  };
}

export default component(mount);
