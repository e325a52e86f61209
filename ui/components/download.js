// An add-on of a panel: the button that saves the picture as a PNG file, enlarged.

const DOWNLOAD_SIZE = 1024; // px, about, on the longer side

function addDownload(head, paintLayers) {
  const button = element("button", { class: "tool", type: "button", title: "Download as PNG" }, "⤓");
  head.append(button);
  let panel = null;

  button.addEventListener("click", async () => {
    const [ratioWidth, ratioHeight] = panel.aspect;
    const scale = Math.max(1, Math.round(DOWNLOAD_SIZE / Math.max(ratioWidth, ratioHeight)));
    const copy = new OffscreenCanvas(ratioWidth * scale, ratioHeight * scale);
    paintLayers(copy);
    const url = URL.createObjectURL(await copy.convertToBlob({ type: "image/png" }));
    element("a", { href: url, download: panel.download }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });

  return {
    update(next) {
      panel = next;
      button.hidden = !panel.download;
      setAttribute(button, "aria-label", `Download ${panel.title || say(panel.alt)} as PNG`);
    },
  };
}
