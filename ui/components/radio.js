// radio: one of a few, as radio buttons. See ui/components/radio.py.

function mount(root) {
  const legend = element("legend");
  const buttons = element("div", { class: "buttons" });
  root.append(element("fieldset", {}, legend, buttons));
  let data = null;

  function say(value) {
    if (live[data.key] === value) return;
    live[data.key] = value;
    window.dispatchEvent(new CustomEvent("camdrop:live", { detail: { key: data.key, value } }));
  }
  function addButton(option) {
    const input = element("input", { type: "radio", name: "option" });
    input.checked = option === data.value;
    input.addEventListener("change", () => say(option));
    buttons.append(element("label", {}, input, element("span", {}, option)));
  }
  return {
    update({ data: next }) {
      if (data) return;
      data = next;
      setText(legend, data.label);
      data.options.forEach(addButton);
      say(data.value);
    },
    unmount() {},
  };
}

export default component(mount);
