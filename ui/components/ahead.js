// ahead: messages for `pictures` that may be needed next. Shows nothing. See ui/components/ahead.py.

const REST = 150; // ms for which no hand has moved anything before the server is asked for more
const BUSY = 30; // ms until a look whether the run is over: a question that comes just as one ends can cost its last pictures
const LEAVING = 10_000; // ms after which a link that was followed has led nowhere else
const AGAIN = 30_000; // ms after which a question counts as lost: Streamlit may drop it when it begins another run

// Messages from the server are deflated, behind four zeros; those of a saved page are not.
async function inflate(data) {
  if (data.subarray(0, 4).some(Boolean)) return data;
  const stream = new Blob([data.subarray(4)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Whether the browser is about to leave a page: Streamlit would take a question from it for one of the next page, and mix
// the two. Back changes the address at once, a link when the next page is there.
const leaving = (page) =>
  window.location.pathname.split("/").pop() !== page ||
  (shelf.left?.page === page && performance.now() - shelf.left.time < LEAVING);

// What all elements say before the next tick Streamlit sends as one request, and runs only one of their fragments. So a
// question is put when nothing else is under way, and goes at once.
const whenIdle = window.requestIdleCallback ?? ((act) => setTimeout(act));
function alone(say) {
  const later = window.setTimeout;
  window.setTimeout = (flush) => flush();
  try {
    say();
  } finally {
    window.setTimeout = later;
  }
}

function mount() {
  let latest = null;
  let page = null; // the address of the page that this is on
  let ask = null;
  let timer;
  let moved = 0;
  let held = false; // a pointer is down: a hand that drags and pauses

  function askIn(wait) {
    clearTimeout(timer);
    const mine = setTimeout(() => whenIdle(() => mine === timer && tryAsk(wait)), wait);
    timer = mine;
  }
  function tryAsk(waited) {
    const running = "[data-test-script-state=running], [data-test-script-state=rerunRequested]";
    if (held) return;
    if (leaving(page) || document.querySelector(running)) {
      askIn(BUSY);
      return;
    }
    alone(() => ask("ask", { got: shelf.got ?? 0 }));
    askIn(Math.max(AGAIN, 2 * waited)); // a busy server is not asked the more
  }
  const askSoon = () => askIn(Math.max(0, moved + REST - performance.now()));
  const planned = () => ask && askSoon();
  const move = () => {
    moved = performance.now();
    if (timer) askSoon();
  };
  const press = () => (held = true);
  const release = () => {
    held = false;
    move();
  };
  const follow = ({ target, ctrlKey, metaKey, shiftKey }) => {
    if (!target.closest?.("a[href]") || ctrlKey || metaKey || shiftKey) return;
    shelf.left = { page, time: performance.now() };
  };
  const heard = {
    "camdrop:planned": planned, "camdrop:live": move, pointerdown: press, pointerup: release, pointercancel: release,
    click: follow,
  };
  for (const [event, listener] of Object.entries(heard)) window.addEventListener(event, listener, true);

  return {
    async update({ data, setTriggerValue }) {
      ask = setTriggerValue;
      if (data === latest) return;
      latest = data;
      clearTimeout(timer);
      timer = null;
      const bytes = await inflate(data);
      const { header, blob } = unpack(bytes);
      page = header.page;
      if (header.messages.length) {
        const whole = (message) => ({ ...message, panels: message.panels.map((place) => header.panels[place]) });
        keep(
          header.messages.map((message) => ({ header: whole(message), blob })),
          bytes.length,
        );
        if (header.number) shelf.got = header.number;
        window.dispatchEvent(new CustomEvent("camdrop:ahead"));
      }
      if (header.more) askSoon();
    },
    unmount() {
      clearTimeout(timer);
      timer = null;
      for (const [event, listener] of Object.entries(heard)) window.removeEventListener(event, listener, true);
    },
  };
}

export default component(mount);
