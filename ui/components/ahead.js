// ahead: messages for `pictures` that may be needed next. Shows nothing. See ui/components/ahead.py.

const REST = 150; // ms for which no hand has moved anything before the server is asked for more

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

  function askSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => ask("ask", Date.now()), Math.max(0, moved + REST - performance.now()));
  }
  const planned = () => ask && askSoon();
  const move = () => {
    moved = performance.now();
    if (timer) askSoon();
  };
  window.addEventListener("camdrop:planned", planned);
  window.addEventListener("camdrop:live", move);

  return {
    async update({ data, setTriggerValue }) {
      ask = setTriggerValue;
      if (data === latest) return;
      latest = data;
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
        window.dispatchEvent(new CustomEvent("camdrop:ahead"));
      }
      if (header.more) askSoon();
    },
    unmount() {
      clearTimeout(timer);
      window.removeEventListener("camdrop:planned", planned);
      window.removeEventListener("camdrop:live", move);
    },
  };
}

export default component(mount);
