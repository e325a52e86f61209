// Once a page: Tab on the button of an open popover goes to the first field in it. See popover_focus.py.

const FIELDS = "a[href], button, input, select, textarea, summary, [tabindex]";

// The first field below a node, also of a component, whose fields are in a shadow tree of its own.
function firstField(root) {
  for (const node of root.querySelectorAll("*")) {
    const inside = node.shadowRoot && firstField(node.shadowRoot);
    if (inside) return inside;
    if (node.matches(FIELDS) && node.tabIndex >= 0 && !node.disabled && node.checkVisibility()) return node;
  }
  return null;
}

function enter(event) {
  const button = document.activeElement;
  if (event.key !== "Tab" || event.shiftKey || button?.dataset.testid !== "stPopoverButton") return;
  if (button.getAttribute("aria-expanded") !== "true") return;
  const bodies = [...document.querySelectorAll("[data-testid=stPopoverBody]")];
  const field = bodies.length && firstField(bodies.at(-1));
  if (!field) return;
  event.preventDefault();
  field.focus();
}

export default () => {
  if (!window.camdropPopoverFocus) document.addEventListener("keydown", enter);
  window.camdropPopoverFocus = true;
};
