// Presenting: the panels are a row of small pictures, revealed one by one, and the latest is large, its equation beside it.
// Of two boards each has half of the screen, without small pictures and equations.
// Which is the latest, `live.present` says (present.js); null is none, and the page as it was.

function makeStage(board, grid, makeFigure) {
  let stage = null;
  let header = null;
  let blob = null;
  const at = () => (header?.presented && live.present != null ? live.present : null);

  // A click on a small picture goes to its step, whatever else it does elsewhere.
  grid.addEventListener(
    "click",
    (event) => {
      if (at() === null) return;
      event.stopPropagation();
      const step = [...grid.children].findIndex((figure) => event.composedPath().includes(figure));
      if (step >= 0) moveTo("present", step);
    },
    true,
  );

  // One on the large picture goes on, unless it picks something there.
  const goOn = (event) => {
    const panel = header.panels[at()];
    if (!panel.pickable && event.target.matches("canvas")) moveTo("present", at() + 1);
  };

  function show() {
    const step = at();
    board.classList.toggle("presented", step !== null);
    board.classList.toggle("half", step !== null && header.presented !== "all");
    board.classList.toggle("right", step !== null && header.presented === "right");
    if (step === null) {
      stage?.remove();
      stage = null;
      return;
    }
    if (!stage) {
      stage = makeFigure();
      stage.root.addEventListener("click", goOn);
    }
    [...grid.children].forEach((figure, i) => {
      figure.classList.toggle("hidden", i > step);
      figure.classList.toggle("current", i === step);
    });
    const panel = header.panels[step];
    if (!stage.root.isConnected) grid.after(stage.root);
    stage.root.className = panel.equation.length ? "stage" : "stage plain";
    stage.update(panel, blob, false);
  }

  return {
    isOn: () => stage !== null,
    update(message) {
      ({ header, blob } = message);
      show();
    },
    follow(key) {
      if (key === "present") show();
      else if (stage?.follows(key)) stage.follow();
    },
    // The theme has changed.
    repaint() {
      if (stage) stage.update(header.panels[at()], blob, true);
    },
  };
}
