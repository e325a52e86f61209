// Messages of `pictures` that came ahead of their time, by the state that they show: see `State` in pictures.py. On window,
// because they come by another component (ahead.js) than the one that shows them.

const SHELF_SIZE = 48e6; // bytes of messages; the oldest go first

const shelf = (window.camdropShelf ??= { messages: new Map(), loads: [], size: 0 });

const placeOf = ({ key, state }, at = state.at) =>
  JSON.stringify([key, state.scene, Object.keys(state.at).map((name) => at[name] ?? state.at[name])]);

// Keeps the messages of one load of `size` bytes: each { header, blob }.
function keep(messages, size) {
  const places = messages.map(({ header }) => placeOf(header));
  places.forEach((place, i) => shelf.messages.set(place, messages[i]));
  shelf.loads.push({ places, messages, size });
  shelf.size += size;
  while (shelf.size > SHELF_SIZE && shelf.loads.length > 1) {
    const oldest = shelf.loads.shift();
    shelf.size -= oldest.size;
    oldest.places.forEach((place, i) => {
      if (shelf.messages.get(place) === oldest.messages[i]) shelf.messages.delete(place);
    });
  }
}

// The message for what sliders and choices say right now, if it is there.
const wanted = (header) => shelf.messages.get(placeOf(header, live));

// Values that the browser has gone to by a click, and that the server has not answered yet.
const held = (window.camdropHeld ??= new Set());

// Goes to a value of `key`, as a slider does, where the pictures can follow.
function goTo(key, value) {
  const before = live[key];
  live[key] = value;
  const event = new CustomEvent("camdrop:live", { cancelable: true, detail: { key, value } });
  window.dispatchEvent(event);
  if (event.defaultPrevented) held.add(key);
  else live[key] = before;
}

// A message has come from the server, which sets what clicks go to, but for what it has not answered yet.
function catchUp({ at, clicks }) {
  for (const key of clicks) {
    if (at[key] === live[key]) held.delete(key);
    if (!held.has(key)) live[key] = at[key];
  }
}

// Moves the slider or choice of `key` to a value; whether there is one.
const moveTo = (key, value) =>
  !window.dispatchEvent(new CustomEvent("camdrop:set", { cancelable: true, detail: { key, value } }));
