// The layer `voxels`: the paper's Figure 1. A C×H×W block of cells as C slices, spread so that one sees inside.

const SPREAD = 0.4; // distance of two slices, in widths of a slice
const YAW = [0.15, 1.4]; // radians; 0 looks straight at the slices, π/2 at their edges
const PITCH = [0, 1];
const TURNS = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };

// One view for all blocks of a figure: what is turned in one turns in all.
const view = { yaw: 0.85, pitch: 0.32 };

function turn(yaw, pitch) {
  view.yaw = Math.min(YAW[1], Math.max(YAW[0], view.yaw + yaw));
  view.pitch = Math.min(PITCH[1], Math.max(PITCH[0], view.pitch + pitch));
}

// Turns by dragging the canvas, unless that points at cells, and by arrow keys; `turned()` paints all blocks anew.
function addTurning(frame, canvas, turned) {
  let solid = false;
  let cells = null;
  canvas.addEventListener("pointermove", (event) => {
    if (!solid || cells || !event.buttons) return;
    turn(-event.movementX / 150, event.movementY / 150);
    turned();
  });
  frame.addEventListener("keydown", (event) => {
    if (!solid || !(event.key in TURNS)) return;
    event.preventDefault();
    turn(...TURNS[event.key]);
    turned();
  });
  return {
    update(isSolid, hasCells) {
      solid = isSolid;
      cells = hasCells;
      canvas.classList.toggle("solid", solid);
    },
  };
}

// The true cells of an H×W grid as few rectangles [i, j, height, width]: each row's runs, grown downwards.
function rectangles(H, W, at) {
  const found = [];
  const taken = new Uint8Array(H * W);
  const free = (i, j) => at(i, j) && !taken[i * W + j];
  for (let i = 0; i < H; i++)
    for (let j = 0; j < W; j++) {
      if (!free(i, j)) continue;
      let right = j;
      while (right < W && free(i, right)) right++;
      let bottom = i + 1;
      const whole = (row) => {
        for (let k = j; k < right; k++) if (!free(row, k)) return false;
        return true;
      };
      while (bottom < H && whole(bottom)) bottom++;
      for (let row = i; row < bottom; row++) taken.fill(1, row * W + j, row * W + right);
      found.push([i, j, bottom - i, right - j]);
    }
  return found;
}

// Where places (x, y, z) in the block are on a canvas of w×h px. The channel axis x comes towards the viewer and goes
// right, rows y go down, columns z go right and away.
function projection([C, H, W], w, h) {
  const spread = SPREAD * Math.max(H, W); // from slice to slice
  const [sin, cos] = [Math.sin(view.yaw), Math.cos(view.yaw)];
  const [tilt, upright] = [Math.sin(view.pitch), Math.cos(view.pitch)];
  const right = (x, z) => x * sin + z * cos;
  const down = (x, y, z) => y * upright + (x * cos - z * sin) * tilt;
  const depth = (C - 1) * spread + 1;
  const [left, top] = [right(0, 0), down(0, 0, W)];
  const [width, height] = [right(depth, W) - left, down(depth, H, 0) - top];
  const unit = Math.min(w / (width + 1), h / (height + 1));
  const [x0, y0] = [(w - width * unit) / 2 - left * unit, (h - height * unit) / 2 - top * unit];
  return {
    spread,
    across: (x, z) => x0 + right(x, z) * unit,
    below: (x, y, z) => y0 + down(x, y, z) * unit,
    // The row and column of a pixel on the plane of that x.
    cell(x, px, py) {
      const z = ((px - x0) / unit - x * sin) / cos;
      const y = ((py - y0) / unit - (x * cos - z * sin) * tilt) / upright;
      return [Math.floor(y), Math.floor(z)];
    },
  };
}

// Fills and rules what has places in the block.
function makePen(context, { across, below }) {
  const move = (path, x, y, z) => path.moveTo(across(x, z), below(x, y, z));
  const line = (path, x, y, z) => path.lineTo(across(x, z), below(x, y, z));

  // One by one: a convex shape is filled much faster than a path of many.
  function fill(first, ...corners) {
    context.beginPath();
    move(context, ...first);
    for (const corner of corners) line(context, ...corner);
    context.fill();
  }
  function rule(style, grids, x) {
    const path = new Path2D();
    for (const [i, j, m, n] of grids) {
      for (let k = 0; k <= m; k++) {
        move(path, x, i + k, j);
        line(path, x, i + k, j + n);
      }
      for (let k = 0; k <= n; k++) {
        move(path, x, i, j + k);
        line(path, x, i + m, j + k);
      }
    }
    context.strokeStyle = style;
    context.lineWidth = 0.6;
    context.stroke(path);
  }
  return { fill, rule };
}

// What is said of a place of the picture, in shares of it: of the foremost cube or slice there, by the slices' names.
function readVoxels(layer, names, blob) {
  const [C, H, W] = layer.shape;
  const below = blob(layer.below);
  return (shareX, shareY, w, h) => {
    const { spread, cell } = projection(layer.shape, w, h);
    const gamma = Math.round(100 * current(layer.gamma));
    for (let c = C - 1; c >= 0; c--)
      for (let tenth = 10; tenth >= 0; tenth--) {
        const [i, j] = cell(c * spread + tenth / 10, shareX * w, shareY * h);
        if (i < 0 || j < 0 || i >= H || j >= W) continue;
        const dropped = gamma < below[(c * H + i) * W + j];
        if (tenth && !dropped) continue;
        return `${say(names[c])}, row ${i + 1}, column ${j + 1}: ${dropped ? "dropped" : "kept"}`;
      }
    return "";
  };
}

function voxels(layer, blob, theme) {
  const [C, H, W] = layer.shape;
  const below = blob(layer.below);
  let gamma = -1;
  let slices = [];
  const dropped = (c, i, j) => i >= 0 && j >= 0 && gamma < below[(c * H + i) * W + j];
  const [lit, dark] = [15, 50].map((percent) => `color-mix(in srgb, ${layer.color}, black ${percent}%)`);
  // A dropped cell is a cube that stands out of its slice: a face, and a top and a left side where no cube hides them.
  const cut = (c) => ({
    faces: rectangles(H, W, (i, j) => dropped(c, i, j)),
    tops: rectangles(H, W, (i, j) => dropped(c, i, j) && !dropped(c, i - 1, j)),
    sides: rectangles(H, W, (i, j) => dropped(c, i, j) && !dropped(c, i, j - 1)),
  });

  return (context, w, h) => {
    if (gamma !== Math.round(100 * current(layer.gamma))) {
      gamma = Math.round(100 * current(layer.gamma));
      slices = Array.from({ length: C }, (_, c) => cut(c));
    }
    const places = projection(layer.shape, w, h);
    const { fill, rule } = makePen(context, places);
    const rectangle = (x, i, j, m, n) => fill([x, i, j], [x, i, j + n], [x, i + m, j + n], [x, i + m, j]);
    const colors = theme();
    const whole = [0, 0, H, W];
    slices.forEach(({ faces, tops, sides }, c) => {
      const [x, near] = [c * places.spread, c * places.spread + 1];
      context.fillStyle = colors.slice;
      rectangle(x, ...whole);
      rule(colors.line, [whole], x);
      if (!faces.length) return;
      context.fillStyle = lit;
      for (const [i, j, , n] of tops) fill([x, i, j], [x, i, j + n], [near, i, j + n], [near, i, j]);
      context.fillStyle = dark;
      for (const [i, j, m] of sides) fill([x, i, j], [x, i + m, j], [near, i + m, j], [near, i, j]);
      context.fillStyle = layer.color;
      for (const one of faces) rectangle(near, ...one);
      rule(dark, faces, near);
    });
  };
}
