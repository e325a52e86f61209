// An add-on of a panel: the button ƒ, and the popover with the equation of the picture.

// `beside`: it is always there, beside the picture.
function addEquation(root, head, beside) {
  const attributes = { class: "tool", type: "button", title: "Equation", "aria-haspopup": "dialog" };
  const button = element("button", attributes, "ƒ");
  const over = { popover: "manual", role: "dialog", "aria-label": "Equation" };
  const popover = element("div", { class: "equation", ...(beside ? {} : over) });
  head.append(button);
  root.append(popover);
  let panel = null;
  let written = "";

  // Below its button, or above it, wherever the page is scrolled to.
  const place = () => {
    const at = button.getBoundingClientRect();
    const box = popover.getBoundingClientRect();
    const below = at.bottom + 6 + box.height < window.innerHeight;
    popover.style.left = `${Math.max(8, Math.min(at.right - box.width, window.innerWidth - box.width - 8))}px`;
    popover.style.top = `${below ? at.bottom + 6 : at.top - box.height - 6}px`;
  };
  const isOpen = () => beside || popover.matches(":popover-open");
  const close = () => popover.matches(":popover-open") && popover.hidePopover();
  // MathML is written only when it is looked at: it costs as much as a picture.
  const write = () => {
    const html = say(panel.equation);
    if (written !== html) popover.innerHTML = written = html;
  };
  button.addEventListener("click", () => {
    if (isOpen()) return close();
    write();
    popover.showPopover();
  });
  popover.addEventListener("toggle", ({ newState }) => {
    const listen = newState === "open" ? window.addEventListener : window.removeEventListener;
    listen("scroll", place, true);
    listen("resize", place);
    if (newState === "open") place();
  });
  root.addEventListener("keydown", (event) => event.key === "Escape" && close());

  return {
    update(next) {
      panel = next;
      button.hidden = beside || !panel.equation.length;
      setAttribute(button, "aria-label", `Equation of ${panel.title}`);
      if (!panel.equation.length) close();
      if (isOpen()) write();
    },
    remove: close,
  };
}
