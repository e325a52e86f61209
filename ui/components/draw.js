// draw: the button that goes to the next draw. See ui/components/draw.py.

function mount(root) {
  const button = element("button", { type: "button" });
  root.append(button);
  let next = null;
  let value = 0;
  button.addEventListener("click", () => next());
  return {
    update({ data, setTriggerValue }) {
      setText(button, data.label);
      button.title = data.help;
      if (!held.has(data.key)) value = data.value;
      next = () => {
        value += 1;
        goTo(data.key, value);
        setTriggerValue("pressed", value);
      };
    },
    unmount() {},
  };
}

export default component(mount);
