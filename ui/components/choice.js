// live_choice: a label, and below it a list or a row of options. See ui/components/choice.py for what the data mean.

function makeList(choose) {
  const list = element("select", { id: "list" });
  list.addEventListener("change", () => choose(list.value));
  let offered = "";
  return {
    root: list,
    update({ options, label }) {
      setAttribute(list, "aria-label", label);
      if (offered === JSON.stringify(options)) return;
      offered = JSON.stringify(options);
      list.replaceChildren(...options.map((option) => element("option", { value: option }, option)));
    },
    show(value) {
      list.value = value;
    },
  };
}

function makeRow(choose) {
  const row = element("div", { class: "row", role: "radiogroup" });
  let offered = "";
  return {
    root: row,
    update({ options, label, key }) {
      setAttribute(row, "aria-label", label);
      if (offered === JSON.stringify(options)) return;
      offered = JSON.stringify(options);
      const radio = (value) => {
        const input = element("input", { type: "radio", name: key, value });
        input.addEventListener("change", () => choose(value));
        return element("label", {}, input, element("span", {}, value));
      };
      row.replaceChildren(...options.map(radio));
    },
    show(value) {
      for (const input of row.querySelectorAll("input")) input.checked = input.value === value;
    },
  };
}

function mount(root) {
  const { field, setName } = makeField(root);
  let data = null;
  let value = null;
  let part = null;
  const sender = makeSender();
  const address = makeAddress(() => [data.key, value === data.default ? null : value]);
  const stopListening = listenToSetting(() => data?.key, choose);

  function choose(next) {
    if (!data.options.includes(next)) return;
    value = next;
    part.show(value);
    sender.offer(value, true, announce(data.key, value));
    address.schedule(ADDRESS_DELAY);
  }

  return {
    update({ data: next, setStateValue }) {
      const first = data === null || next.revision !== data.revision || !next.options.includes(value);
      data = next;
      if (!part) field.append((part = { list: makeList, row: makeRow }[data.look](choose)).root);
      sender.update(data, setStateValue);
      setName(data.label);
      field.title = data.help;
      part.update(data);
      if (first) {
        value = data.value;
        sender.start(value);
        address.schedule(0);
      }
      part.show(value);
      announce(data.key, value);
    },
    unmount() {
      sender.stop();
      address.stop();
      stopListening();
    },
  };
}

export default component(mount);
