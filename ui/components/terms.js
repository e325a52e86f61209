// Words that are explained where the pointer rests on them: TERMS, of ui/words.py.

const TERM = new RegExp(`(?<![\\p{L}\\d])(${Object.keys(TERMS).sort((a, b) => b.length - a.length).join("|")})(?![\\p{L}\\d])`, "u");

// Writes a text, with what it has of these words marked.
function setWords(node, text) {
  if (node.textContent === text) return;
  node.replaceChildren(
    ...text.split(TERM).map((part, i) => (i % 2 ? element("span", { class: "term", title: TERMS[part] }, part) : part)),
  );
}
