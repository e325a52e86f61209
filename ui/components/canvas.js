// A panel's canvas: it keeps its place for life, and is repainted when the layers, the sliders or its size change.

// `overlay(context, width, height)` paints over the layers what only the screen shows, not a download.
function makeCanvas(theme, overlay) {
  const canvas = element("canvas", { role: "img" });
  let painters = [];
  const spares = [];
  const scratch = (i) => (width, height) => {
    if (spares[i]?.width !== width || spares[i].height !== height) spares[i] = new OffscreenCanvas(width, height);
    return spares[i];
  };

  function paintLayers(target) {
    const context = target.getContext("2d");
    context.clearRect(0, 0, target.width, target.height);
    for (const paintLayer of painters) paintLayer(context, target.width, target.height);
  }
  function paint() {
    paintLayers(canvas);
    overlay(canvas.getContext("2d"), canvas.width, canvas.height);
  }

  // A canvas has as many pixels as it covers on the screen: sharp, and no scaling by the browser. The observer also
  // tells the first size, just before the first frame; asking for a size after an update would force a layout.
  const watcher = new ResizeObserver(([{ contentRect }]) => {
    canvas.width = Math.max(1, Math.round(contentRect.width * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(contentRect.height * devicePixelRatio));
    paint();
  });
  watcher.observe(canvas);

  return {
    canvas,
    paint,
    paintLayers,
    update(panel, blob) {
      painters = panel.layers.map((layer, i) => DECODERS[layer.kind](layer, blob, theme, scratch(i)));
      setAttribute(canvas, "style", `--ratio: ${panel.aspect.join(" / ")}`);
    },
    remove: () => watcher.disconnect(),
  };
}
