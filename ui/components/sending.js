// What sliders and choices share: how they tell the page, the server and the address bar what they show.

const INTERVAL = 40; // ms between two messages to the server while dragging, at least
const PATIENCE = 1000; // ms to wait for the server's word that it has heard the last one
const PAINT = 80; // ms to wait where the browser has followed: it paints first, and keys that repeat are one message
const ADDRESS_DELAY = 250; // ms of rest before the address bar is written: browsers limit how often one may

// Calls `set(value)` where something on the page, as a click in the gallery, sets `key()`. Returns how to stop.
function listenToSetting(key, set) {
  const listen = (event) => {
    if (event.detail.key !== key()) return;
    event.preventDefault(); // taken
    set(event.detail.value);
  };
  window.addEventListener("camdrop:set", listen);
  return () => window.removeEventListener("camdrop:set", listen);
}

// Tells the pictures that a slider or choice has moved. Returns whether all that it concerns have followed by themselves,
// or null where it has not moved.
function announce(key, value) {
  if (live[key] === value) return null;
  live[key] = value;
  const event = new CustomEvent("camdrop:live", { cancelable: true, detail: { key, value } });
  window.dispatchEvent(event);
  return event.defaultPrevented && !event.detail.missing;
}

// Sends values to the server: one message at a time, and the latest value when the server has heard the last. So a drag
// never piles up work, and eight people who drag at once share the server evenly.
function makeSender() {
  let data = null;
  let send = null;
  let value = null;
  let sent = null;
  let sentAt = -Infinity;
  let turn = Date.now(); // counts the messages, and starts where no earlier life of this slider has been
  let released = false; // and not yet sent
  let timer;

  function transmit() {
    sent = value;
    sentAt = performance.now();
    released = false;
    turn += 1;
    send("state", { value, revision: data.revision, turn });
  }
  const stop = () => clearTimeout(timer);

  return {
    stop,
    update(next, setStateValue) {
      data = next;
      send = setStateValue;
    },
    // The server knows this value, and awaits no other.
    start(known) {
      stop();
      released = false;
      sent = known;
    },
    // `followed`: the browser shows it already, so that the release is soon enough for the server.
    offer(next, isRelease, followed) {
      value = next;
      released ||= isRelease;
      const drawn = data.local || followed;
      if (value === sent || (drawn && !released)) return;
      stop();
      const free = sentAt + (data.heard === turn ? INTERVAL : PATIENCE) - performance.now();
      const wait = drawn ? Math.max(PAINT, free) : free;
      if (wait <= 0) transmit();
      else timer = setTimeout(transmit, wait);
    },
  };
}

// Keeps a parameter of the page's address at what `parameter()` says: [key, text], several texts, or null for none.
// What the link says is left alone by Streamlit's own bound widgets, which change only their own parameter. But the
// server pushes its stale copy of the whole query when the page sets a bound widget; then `keep` mends ours.
function makeAddress(parameter) {
  let timer;
  function write() {
    const url = new URL(window.location.href);
    const [key, text] = parameter();
    const texts = text === null ? [] : [text].flat();
    if (JSON.stringify(url.searchParams.getAll(key)) === JSON.stringify(texts)) return;
    if (texts.length === 1) url.searchParams.set(key, texts[0]);
    else {
      url.searchParams.delete(key);
      for (const each of texts) url.searchParams.append(key, each);
    }
    window.history.replaceState(window.history.state, "", url);
  }
  function schedule(delay) {
    clearTimeout(timer);
    timer = setTimeout(write, delay);
  }
  const path = window.location.pathname;
  const keep = (event) => {
    if (event.navigationType !== "traverse" && window.location.pathname === path) schedule(0);
  };
  window.navigation?.addEventListener("currententrychange", keep);
  return {
    schedule,
    stop() {
      clearTimeout(timer);
      window.navigation?.removeEventListener("currententrychange", keep);
    },
  };
}
