// ahead: messages for `pictures` that are needed next. Shows nothing. See ui/components/ahead.py.

function mount() {
  let latest = null;
  return {
    update({ data }) {
      if (data === latest) return;
      latest = data;
      const { header, blob } = unpack(data);
      keep(
        header.messages.map((message) => ({ header: message, blob })),
        data.length,
      );
      window.dispatchEvent(new CustomEvent("camdrop:ahead"));
    },
    unmount() {},
  };
}

export default component(mount);
