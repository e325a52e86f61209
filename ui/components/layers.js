// The kinds of layers that a panel is painted of; `voxels` has a file of its own. Canvas work alone, no page.
// decode(layer, blob, theme, scratch) runs once per message; what it returns, paint(context, width, height), as often
// as sliders move. scratch(width, height) is the layer's own canvas off the screen, kept from message to message.

function raster(layer, blob, theme, scratch) {
  const [height, width] = layer.shape;
  const source = blob(layer.pixels);
  const image = new ImageData(width, height);
  const channels = source.length / (width * height);
  for (let i = 0, j = 0; j < image.data.length; i += channels, j += 4) {
    image.data[j] = source[i];
    image.data[j + 1] = source[channels > 1 ? i + 1 : i];
    image.data[j + 2] = source[channels > 1 ? i + 2 : i];
    image.data[j + 3] = channels === 4 ? source[i + 3] : 255;
  }
  const canvas = scratch(width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return (context, w, h) => {
    context.imageSmoothingEnabled = layer.smooth;
    context.drawImage(canvas, 0, 0, w, h);
  };
}

// A small map (h, w) at the size of the image: U(h, H) map U(w, W)ᵀ, by the matrices that the library has filled.
function resized(map, [h, w], [H, W], tall, wide) {
  const rows = new Float32Array(H * w);
  for (let y = 0; y < H; y++)
    for (let i = 0; i < h; i++) {
      const weight = tall[y * h + i];
      if (weight) for (let x = 0; x < w; x++) rows[y * w + x] += weight * map[i * w + x];
    }
  const large = new Float32Array(H * W);
  for (let x = 0; x < W; x++)
    for (let i = 0; i < w; i++) {
      const weight = wide[x * w + i];
      if (weight) for (let y = 0; y < H; y++) large[y * W + x] += weight * rows[y * w + i];
    }
  return large;
}

// rgb = lut[round(255 t)], t = clip((h - low) / (high - low), 0, 1), laid over what is below with the opacity.
function heat(layer, blob, theme, scratch) {
  const [height, width] = layer.shape;
  const lut = blob(layer.lut);
  const [least, most] = layer.span;
  const unit = (most - least) / 65535;
  let values = Float32Array.from(new Uint16Array(blob(layer.values).buffer), (level) => least + level * unit);
  if (layer.small) {
    const [tall, wide] = layer.resize.map((place) => new Float32Array(blob(place).buffer));
    values = resized(values, layer.small, layer.shape, tall, wide);
  }
  const image = new ImageData(width, height);
  const canvas = scratch(width, height);
  const context = canvas.getContext("2d");
  let painted = "";
  return (target, w, h) => {
    const low = current(layer.low);
    const high = current(layer.high);
    if (painted !== `${low} ${high}`) {
      painted = `${low} ${high}`;
      const scale = high > low ? 255 / (high - low) : Infinity;
      for (let i = 0, j = 0; i < values.length; i++, j += 4) {
        const t = (values[i] - low) * scale;
        const color = 3 * (t > 0 ? Math.min(255, Math.round(t)) : 0);
        image.data[j] = lut[color];
        image.data[j + 1] = lut[color + 1];
        image.data[j + 2] = lut[color + 2];
        image.data[j + 3] = 255;
      }
      context.putImageData(image, 0, 0);
    }
    target.imageSmoothingEnabled = layer.smooth;
    target.globalAlpha = current(layer.opacity);
    target.drawImage(canvas, 0, 0, w, h);
    target.globalAlpha = 1;
  };
}

// Cells that come and go with γ: those whose bound lies above it.
function marks(layer, blob, theme, scratch) {
  const [height, width] = layer.shape;
  const below = blob(layer.below);
  const rgb = [1, 3, 5].map((at) => Number.parseInt(layer.color.slice(at, at + 2), 16));
  const canvas = scratch(width, height);
  let painted = -1;
  return (target, w, h) => {
    const gamma = Math.round(100 * current(layer.gamma));
    if (painted !== gamma) {
      painted = gamma;
      const image = new ImageData(width, height);
      for (let i = 0; i < below.length; i++) if (gamma < below[i]) image.data.set([...rgb, 255], 4 * i);
      canvas.getContext("2d").putImageData(image, 0, 0);
    }
    target.imageSmoothingEnabled = false;
    target.drawImage(canvas, 0, 0, w, h);
  };
}

function bars(layer, blob, theme) {
  const values = new Float32Array(blob(layer.values).buffer);
  const marked = blob(layer.marked);
  const top = values.reduce((a, b) => Math.max(a, b), layer.line ?? 0);
  const bottom = values.reduce((a, b) => Math.min(a, b), 0);
  const range = top - bottom || 1;
  return (context, w, h) => {
    const y = (value) => ((top - value) / range) * h;
    const pitch = w / values.length;
    const colors = theme();
    const thick = pitch > 3 ? pitch * 0.8 : pitch;
    for (const mark of [0, 1]) {
      // Marked bars come last and are at least a pixel wide, so that none of 2048 gets lost.
      context.fillStyle = mark ? layer.marked_color : (layer.color ?? colors.faint);
      const width = mark ? Math.max(1.5, thick) : thick;
      for (let i = 0; i < values.length; i++)
        if (marked[i] === mark) {
          const from = Math.min(y(values[i]), y(0));
          context.fillRect((i + 0.5) * pitch - width / 2, from, width, Math.max(1, Math.abs(y(values[i]) - y(0))));
        }
    }
    context.fillStyle = colors.text;
    context.fillRect(0, Math.min(h - 1, y(0)), w, 1);
    if (layer.line === null) return;
    context.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    context.lineWidth = devicePixelRatio;
    context.strokeStyle = colors.text;
    context.beginPath();
    context.moveTo(0, Math.max(1, y(layer.line)));
    context.lineTo(w, Math.max(1, y(layer.line)));
    context.stroke();
    context.setLineDash([]);
  };
}

const DECODERS = { raster, heat, marks, bars, voxels };
