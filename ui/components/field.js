// What stands around a choice: its name above. The list below it says the name to those who hear the page.
function makeField(root) {
  const name = element("div", { class: "name", "aria-hidden": "true" });
  const field = element("div", { class: "field" }, name);
  root.append(field);
  return { field, setName: (text) => setText(name, text) };
}
