// Once a page: what a link leaves behind in the browser's history is the page that one was on. See back.py.

let leaving = false; // a link has been followed, and no hand has done anything since
let between = false; // the old page's address has been pushed with the new page's parameters,
let arrived = false; // and the new page's address

function touch() {
  leaving = false;
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || link.hash || event.ctrlKey || event.metaKey || event.shiftKey) return;
  leaving = new URL(link.href).origin === window.location.origin;
  between = arrived = false;
}

function navigate(event) {
  if (event.navigationType !== "push" || !leaving) return;
  const stays = new URL(event.destination.url).pathname === window.location.pathname;
  if ((between || (arrived && stays)) && event.cancelable) {
    event.preventDefault();
    window.history.replaceState({}, "", event.destination.url);
  }
  arrived ||= !stays;
  between = !arrived;
}

export default () => {
  if (!window.camdropBack && window.navigation) {
    for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, touch, true);
    document.addEventListener("click", follow, true);
    window.navigation.addEventListener("navigate", navigate);
  }
  window.camdropBack = true;
};
