// The values of a picture under the pointer, in words. See ui/components/readings.py.

const three = (x) => String(Number(x.toPrecision(3))).replaceAll("-", "−");

// Returns words(x, y) for a place in shares of the picture, 0 to 1; "" where no map is.
function decodeReadings(readings, blob) {
  const maps = readings.map((reading) => {
    const bytes = blob(reading.values);
    return { ...reading, numbers: reading.whole ? bytes : new Float32Array(bytes.buffer) };
  });
  const place = ({ shape: [height, width], across }, x, y) => [
    Math.min(height - 1, Math.max(0, Math.floor(y * height))),
    Math.min(width - 1, Math.max(0, Math.floor((x / across) * width))),
  ];
  const said = (map, x, y) => {
    const { shape, numbers, name, unit, words, gamma } = map;
    const [i, j] = place(map, x, y);
    const depth = shape[2] ?? 1;
    let found = Array.from(numbers.subarray((i * shape[1] + j) * depth, (i * shape[1] + j + 1) * depth));
    if (gamma !== null) found = found.map((below) => Number(Math.round(100 * current(gamma)) < below));
    if (words.length) return words[found[0]];
    return `${name} ${found.map(three).join(", ")}${unit}`.trim();
  };
  return (x, y) => {
    if (x > maps[0].across) return "";
    const [i, j] = place(maps[0], x, y);
    return `row ${i + 1}, column ${j + 1}: ${maps.map((map) => said(map, x, y)).filter(Boolean).join(", ")}`;
  };
}
