// Sites by lags, shaded by a quantity: what curves cannot show where sites are many.
function heatMap(home, { start, pick, quantity }) {
  const state = { site: 0, lag: Math.max(0, lags.indexOf(start)) };
  const svg = draw("svg", { role: "img", tabindex: 0, "aria-label": "Heat map of sites by lags; arrow keys move the cell of the read-out" });
  const readout = el("div", { class: "readout", "aria-live": "polite" });
  home.append(el("div", { class: "chart" }, el("div", { class: "canvas" }, svg), readout));
  const L = 120, T = 22, B = 62, CELL = 18;
  let W = 760, cells = new Map();
  const width = () => (W - L - 10) / lags.length;

  function paint() {
    const q = quantity();
    W = Math.max(300, svg.parentNode.clientWidth || 760);
    cells = new Map(pick().map((row) => [`${row.lag} ${row.site}`, row]));
    const most = Math.max(1e-9, ...[...cells.values()].map((row) => row[q.value]).filter(known));
    const H = T + CELL * sites.length + B;
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
    const body = draw("g", {});
    sites.forEach((site, row) => {
      body.append(draw("text", { class: "tick", x: L - 6, y: T + CELL * (row + 0.72), "text-anchor": "end" }, data.names[site]));
      lags.forEach((lag, column) => {
        const value = cells.get(`${lag} ${site}`)?.[q.value];
        body.append(draw("rect", {
          class: known(value) ? "cell" : "cell none", x: L + column * width(), y: T + CELL * row, width: Math.max(0.5, width() - 0.5), height: CELL - 0.5,
          "fill-opacity": known(value) ? Math.max(0, value / most).toFixed(3) : 0,
        }));
      });
    });
    let right = -Infinity;
    lags.forEach((lag, column) => {
      const at = L + (column + 0.5) * width();
      if (at - right < 24) return;
      right = at;
      body.append(draw("text", { class: "tick", x: at, y: T + CELL * sites.length + 14, "text-anchor": "middle" }, lag));
    });
    const y = T + CELL * sites.length + 40;
    body.append(draw("text", { class: "tick", x: 4, y: 12 }, q.name), draw("text", { class: "tick", x: (L + W) / 2, y: y - 8, "text-anchor": "middle" }, "lag (tokens back)"));
    Array.from({ length: 11 }, (_, place) => body.append(draw("rect", { class: "cell", x: L + 14 * place, y, width: 14, height: 10, "fill-opacity": place / 10 })));
    body.append(draw("text", { class: "tick", x: L - 6, y: y + 9, "text-anchor": "end" }, "0"), draw("text", { class: "tick", x: L + 160, y: y + 9 }, q.share ? percent(most) : num(most)));
    svg.replaceChildren(body, draw("rect", { class: "frame", width: width(), height: CELL }));
    tell();
  }
  function tell() {
    const q = quantity(), site = sites[state.site], row = cells.get(`${lags[state.lag]} ${site}`), frame = svg.querySelector(".frame");
    frame.setAttribute("x", L + state.lag * width());
    frame.setAttribute("y", T + CELL * state.site);
    readout.replaceChildren(
      el("p", {}, `${site}, lag ${lags[state.lag]}: ${q.name}`),
      row ? el("span", {}, `${q.share ? percent(row[q.value]) : num(row[q.value])} ${q.low ? range(row[q.low], row[q.high]) : ""} (${row.probe})`) : el("span", {}, "not measured"));
  }
  function point(event) {
    const box = svg.getBoundingClientRect(), scale = W / box.width;
    const column = Math.floor(((event.clientX - box.left) * scale - L) / width()), row = Math.floor(((event.clientY - box.top) * scale - T) / CELL);
    if (column < 0 || column >= lags.length || row < 0 || row >= sites.length) return;
    Object.assign(state, { lag: column, site: row });
    tell();
  }
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("keydown", (event) => {
    const [column, row] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (!column && !row) return;
    event.preventDefault();
    state.lag = Math.min(lags.length - 1, Math.max(0, state.lag + column));
    state.site = Math.min(sites.length - 1, Math.max(0, state.site + row));
    tell();
  });
  addEventListener("resize", () => svg.parentNode.clientWidth && paint());
  return { paint, svg };
}
