// Once a page: what a link leaves behind in the browser's history is the page that one was on. See back.py.

let leaving = false; // a link has been followed whose page is not there yet,
let between = false; // and the address in between has been pushed

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || link.hash || event.ctrlKey || event.metaKey || event.shiftKey) return;
  leaving = new URL(link.href).origin === window.location.origin;
  between = false;
}

function navigate(event) {
  if (event.navigationType !== "push") return;
  if (new URL(event.destination.url).pathname === window.location.pathname) {
    between ||= leaving;
    return;
  }
  if (between && event.cancelable) {
    event.preventDefault();
    window.history.replaceState({}, "", event.destination.url);
  }
  leaving = between = false;
}

export default () => {
  if (!window.camdropBack && window.navigation) {
    document.addEventListener("click", follow, true);
    window.navigation.addEventListener("navigate", navigate);
  }
  window.camdropBack = true;
};
