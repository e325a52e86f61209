// ahead: messages for `pictures` that may be needed next. Shows nothing. See ui/components/ahead.py.

const REST = 150; // ms for which no hand has moved anything before the server is asked for more
const BUSY = 30; // ms until a look whether the run is over: a question that comes just as one ends can cost its last pictures
const AGAIN = 30_000; // ms after which a question counts as lost: Streamlit may drop it when it begins another run

// Messages from the server are deflated, behind four zeros; those of a saved page are not.
async function inflate(data) {
  if (data.subarray(0, 4).some(Boolean)) return data;
  const stream = new Blob([data.subarray(4)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function mount() {
  let latest = null;
  let ask = null;
  let timer;
  let moved = 0;
  let held = false; // a pointer is down: a hand that drags and pauses
  let leaving = false; // for another page: Streamlit would take a question that comes now for one of the page before

  function askIn(wait) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (held) return;
      if (document.querySelector("[data-test-script-state=running], [data-test-script-state=rerunRequested]")) {
        askIn(BUSY);
        return;
      }
      if (leaving) {
        leaving = false; // the link led nowhere else, if this is still there by then
        askIn(AGAIN);
        return;
      }
      ask("ask", { got: shelf.got ?? 0 });
      askIn(Math.max(AGAIN, 2 * wait)); // a busy server is not asked the more
    }, wait);
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
  const leave = ({ type, target, ctrlKey, metaKey, shiftKey }) => {
    leaving ||= type === "popstate" || (target.closest?.("a[href]") && !(ctrlKey || metaKey || shiftKey));
  };
  const heard = {
    "camdrop:planned": planned, "camdrop:live": move, pointerdown: press, pointerup: release, pointercancel: release,
    click: leave, popstate: leave,
  };
  for (const [event, listener] of Object.entries(heard)) window.addEventListener(event, listener, true);

  return {
    async update({ data, setTriggerValue }) {
      ask = setTriggerValue;
      if (data === latest) return;
      latest = data;
      leaving = false;
      clearTimeout(timer);
      timer = null;
      const bytes = await inflate(data);
      const { header, blob } = unpack(bytes);
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
      for (const [event, listener] of Object.entries(heard)) window.removeEventListener(event, listener, true);
    },
  };
}

export default component(mount);
