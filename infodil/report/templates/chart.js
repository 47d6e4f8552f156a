// Curves of a quantity against lag.
const QUANTITIES = {
  value: { name: "bits recovered", value: "value_bits", low: "low_bits", high: "high_bits", ceiling: true, upper: "upper_bits" },
  width: { name: "bits left open (upper bound less bits recovered)", value: "width_bits" },
  beyond: { name: "bits beyond context", value: "beyond_context_bits", low: "beyond_context_low_bits", high: "beyond_context_high_bits" },
  top1: { name: "top-1 accuracy", value: "top1", share: true },
  top5: { name: "top-5 accuracy", value: "top5", share: true },
  random: { name: `bits at random weights (${data.control_probe} probe)`, value: "random_weights_bits", low: "random_weights_low_bits", high: "random_weights_high_bits", probe: data.control_probe },
};
const DIFFERENCE = { name: "difference in bits", value: "difference_bits", low: "low_bits", high: "high_bits", signed: true };
// Where the upper bound is the entropy at every lag of a site, the ceiling says it already.
const bounded = new Set(rows.filter((row) => row.upper_by && row.upper_by !== "entropy").map((row) => row.site));

function niceStep(span, most) {
  const raw = span / most || 1, scale = 10 ** Math.floor(Math.log10(raw));
  return scale * [1, 2, 5, 10].find((step) => step * scale >= raw);
}
function lagTicks(all, logarithmic) {
  const first = all[0], last = all[all.length - 1];
  if (all.length <= 6) return all;
  if (!logarithmic) {
    const step = Math.max(1, niceStep(last - first, 9));
    return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, place) => first + place * step);
  }
  const ticks = [0];
  for (let power = 1; power <= last; power *= 2) ticks.push(power);
  return ticks.filter((tick) => tick >= first);
}

// `series()` gives what is drawn: {name, place, rows, quantity, quiet}; the first quantity names the axis.
function lagChart(home, { label, all, start, logarithmic, series }) {
  const state = { lag: all.includes(start) ? start : all[0], logarithmic };
  const svg = draw("svg", { role: "img", tabindex: 0, "aria-label": `${label}; arrow keys move the lag of the read-out` });
  const readout = el("div", { class: "readout", "aria-live": "polite" });
  home.append(el("div", { class: "chart" }, el("div", { class: "canvas" }, svg), readout));
  const first = all[0], last = all[all.length - 1], L = 52, R = 14, T = 22, B = 44;
  let W = 760, H = 400;
  const bend = (lag) => (state.logarithmic ? Math.log2(1 + lag) : lag);
  const x = (lag) => L + 8 + ((bend(lag) - bend(first)) / (bend(last) - bend(first) || 1)) * (W - L - R - 16);

  function paint() {
    W = Math.max(280, svg.parentNode.clientWidth || 760);
    H = Math.max(260, Math.min(400, Math.round(W * 0.62)));
    const drawn = series(), q = drawn.length ? drawn[0].quantity : QUANTITIES.value;
    const reach = drawn.flatMap(({ rows: part, quantity }) => part.flatMap((row) => [row[quantity.value], row[quantity.low], row[quantity.high], quantity.ceiling ? row.ceiling_high_bits ?? row.ceiling_bits : null])).filter(known);
    const low = Math.min(0, ...reach), high = Math.max(low + 1e-3, q.signed ? 0 : -Infinity, ...reach, q.share ? 1 : 0);
    const step = niceStep(high - low, 7), bottom = low < 0 ? low - 0.03 * (high - low) : 0, top = high + 0.04 * (high - low);
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    const y = (value) => H - B - ((value - bottom) / (top - bottom)) * (H - T - B);
    const line = (part, name) => part.filter((row) => known(row[name])).map((row, place) => `${place ? "L" : "M"}${x(row.lag).toFixed(1)} ${y(row[name]).toFixed(1)}`).join("");
    const band = (part, from, to) => {
      const whole = part.filter((row) => known(row[from]) && known(row[to]));
      return whole.length ? line(whole, from) + line([...whole].reverse(), to).replace("M", "L") + "Z" : "";
    };
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
    svg.replaceChildren(axes(q, { step, bottom, top, digits, y }));
    if (q.ceiling) svg.append(...ceilings(drawn, { line, band, y }));
    drawn.forEach(({ place, rows: part, quantity, quiet, site }) => {
      if (quantity.upper && bounded.has(site)) {
        svg.append(draw("path", { class: "open", fill: colour(place), d: band(part, quantity.value, quantity.upper) }),
          draw("path", { class: "upper", stroke: colour(place), d: line(part, quantity.upper) }));
      }
      if (quantity.low) svg.append(draw("path", { class: "band", fill: quiet ? "var(--soft)" : colour(place), d: band(part, quantity.low, quantity.high) }));
      svg.append(draw("path", { class: quiet ? "curve quiet" : "curve", stroke: quiet ? "var(--soft)" : colour(place), "stroke-dasharray": DASHES[place % 5], d: line(part, quantity.value) }));
      if (part.length <= 24 && !quiet) part.forEach((row) => known(row[quantity.value]) && svg.append(draw("path", { d: MARKS[place % 5], fill: colour(place), transform: `translate(${x(row.lag)} ${y(row[quantity.value])})` })));
    });
    svg.append(draw("line", { class: "cursor", x1: x(state.lag), x2: x(state.lag), y1: T, y2: H - B }));
    tell(drawn, q);
  }
  function axes(q, { step, bottom, top, digits, y }) {
    const axis = draw("g", { class: "axis" });
    for (let tick = Math.ceil(bottom / step - 1e-9) * step; tick <= top; tick += step) {
      const zero = Math.abs(tick) < step / 2;
      axis.append(draw("line", { x1: L, x2: W - R, y1: y(tick), y2: y(tick), class: zero ? "zero" : null }),
        draw("text", { x: L - 7, y: y(tick) + 4, "text-anchor": "end" }, num(zero ? 0 : tick, digits)));
    }
    let right = -Infinity;
    lagTicks(all, state.logarithmic).forEach((tick) => {
      axis.append(draw("line", { x1: x(tick), x2: x(tick), y1: H - B, y2: H - B + 5 }));
      if (x(tick) - right < 22) return;
      right = x(tick);
      axis.append(draw("text", { x: x(tick), y: H - B + 18, "text-anchor": "middle" }, tick));
    });
    axis.append(draw("text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle" }, "lag (tokens back)"), draw("text", { x: 4, y: 12 }, q.name));
    return axis;
  }
  // One ceiling as a rule; reports side by side may have one each, and equal ones are drawn once.
  function ceilings(drawn, { line, band, y }) {
    const parts = drawn.map(({ rows: part }) => part.filter((row) => known(row.ceiling_bits))).filter((part) => part.length);
    const bounds = new Map(parts.map((part) => [line(part, "ceiling_bits"), part]));
    return [...bounds].flatMap(([path, part], place) => [
      draw("path", { class: "ceiling-band", d: band(part, "ceiling_low_bits", "ceiling_high_bits") }), draw("path", { class: "ceiling", d: path }),
      place ? "" : draw("text", { class: "ceiling-name", x: W - R - 8, y: y(part[part.length - 1].ceiling_bits) - 6, "text-anchor": "end" }, "ceiling: entropy of a token"),
    ]);
  }
  function tell(drawn, q) {
    const here = drawn.map((each) => [each, each.rows.find((row) => row.lag === state.lag)]).filter(([, row]) => row);
    const ceiling = unique(here.filter(([, row]) => q.ceiling && known(row.ceiling_bits)).map(([, row]) => `ceiling ${num(row.ceiling_bits)} ${range(row.ceiling_low_bits, row.ceiling_high_bits)} `));
    readout.replaceChildren(
      el("p", {}, `Lag ${state.lag}: ${q.name}`),
      el("table", {}, el("tbody", {}, ...here.map(([{ name, short, place, quantity, site, note, quiet }, row]) => el("tr", {},
        el("td", { title: name }, swatch(place, quiet ? "var(--soft)" : colour(place)), short || name),
        el("td", {}, quantity.share ? percent(row[quantity.value]) : num(row[quantity.value]),
          el("small", {}, quantity.low ? range(row[quantity.low], row[quantity.high]) : ""),
          quantity.upper && bounded.has(site) ? el("small", {}, `at most ${num(row[quantity.upper])} (${row.upper_by})`) : null,
          el("small", {}, note ?? row.probe ?? "")))))),
      el("span", { class: "note" }, ...ceiling));
  }
  function move(lag) {
    if (lag === state.lag) return;
    state.lag = lag;
    const cursor = svg.querySelector(".cursor"), drawn = series();
    cursor.setAttribute("x1", x(lag));
    cursor.setAttribute("x2", x(lag));
    tell(drawn, drawn.length ? drawn[0].quantity : QUANTITIES.value);
  }
  function point(event) {
    const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * W;
    move(all.reduce((best, lag) => (Math.abs(x(lag) - at) < Math.abs(x(best) - at) ? lag : best)));
  }
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -all.length, End: all.length }[event.key];
    if (!step) return;
    event.preventDefault();
    move(all[Math.min(all.length - 1, Math.max(0, all.indexOf(state.lag) + step))]);
  });
  addEventListener("resize", () => svg.parentNode.clientWidth && paint());
  return { paint, svg, setLogarithmic: (value) => { state.logarithmic = value; paint(); } };
}

const byLag = (part) => [...part].sort((a, b) => a.lag - b.lag);

// The curves of the report: one a site, or all probes of one site with their controls; a heat map where sites are many.
function curves(home) {
  if (!lags.length) return home.append(el("p", {}, "No row was measured."));
  const state = { view: sites.length > 10 ? "map" : "curves", quantity: "value", probe: "chosen", site: "", hidden: new Set() };
  if (sites.length > 10) {
    const shown = new Set(Array.from({ length: 10 }, (_, step) => Math.round((step * (sites.length - 1)) / 9)));
    sites.forEach((site, place) => shown.has(place) || state.hidden.add(site));
  }
  const measured = Object.entries(QUANTITIES).filter(([, q]) => rows.some((row) => known(row[q.value])));
  const logarithmic = lags[lags.length - 1] >= 24;
  const set = (name) => (value) => { state[name] = value; paint(); };
  const [viewLabel] = choice("View", [["curves", "curves"], ["map", "heat map"]], set("view"), state.view);
  const [quantityLabel] = choice("Quantity", measured.map(([key, q]) => [key, q.name]), set("quantity"));
  const [siteLabel] = choice("Sites", [["", "all, one curve each"], ...sites.map((site) => [site, `${site}: all probes`])], set("site"));
  const [probeLabel] = choice("Probe", [["chosen", "selected probe"], ...probes.map((probe) => [probe, probe])], set("probe"));
  const [axisLabel] = choice("Lag axis", [["log", "logarithmic"], ["linear", "linear"]], (value) => chart.setLogarithmic(value === "log"), logarithmic ? "log" : "linear");
  const legend = el("div", { class: "legend", role: "group", "aria-label": "Sites shown" }, ...sites.map((site) => {
    const button = el("button", { type: "button", "aria-pressed": String(!state.hidden.has(site)), onclick: () => {
      state.hidden.has(site) ? state.hidden.delete(site) : state.hidden.add(site);
      button.setAttribute("aria-pressed", String(!state.hidden.has(site)));
      paint();
    } }, swatch(placeOf(site)), site);
    return button;
  }));
  const wanted = (row) => {
    const probe = QUANTITIES[state.quantity].probe; // random weights were read by one probe only
    return probe ? row.probe === probe : state.probe === "chosen" ? row.chosen : row.probe === state.probe;
  };
  const selected = rows.filter((row) => row.chosen);

  function siteSeries() {
    const quantity = QUANTITIES[state.quantity];
    return sites.filter((site) => !state.hidden.has(site)).map((site) => ({
      name: site, short: data.names[site], site, place: placeOf(site), quantity, rows: byLag(rows.filter((row) => row.site === site && wanted(row))),
    })).filter((each) => each.rows.length);
  }
  function probeSeries() {
    const quantity = QUANTITIES[state.quantity], mine = rows.filter((row) => row.site === state.site);
    const drawn = probes.map((probe, place) => ({ name: probe, place, quantity, site: state.site, rows: byLag(mine.filter((row) => row.probe === probe)), note: "" }))
      .filter((each) => each.rows.some((row) => known(row[quantity.value])));
    if (state.quantity !== "value") return drawn;
    const controls = [
      { name: "shuffled tokens", quantity: { value: "shuffled_bits", low: "shuffled_low_bits", high: "shuffled_high_bits" }, rows: byLag(selected.filter((row) => row.site === state.site)), note: "by the selected probe" },
      { name: "random weights", quantity: { value: "random_weights_bits", low: "random_weights_low_bits", high: "random_weights_high_bits" }, rows: byLag(mine.filter((row) => row.probe === data.control_probe)), note: `by the ${data.control_probe} probe` },
    ].filter((each) => each.rows.some((row) => known(row[each.quantity.value])));
    return [...drawn, ...controls.map((each, place) => ({ ...each, place: probes.length + place, site: null, quiet: true }))];
  }
  home.append(el("div", { class: "tools" }, sites.length > 1 ? viewLabel : "", quantityLabel, siteLabel, probeLabel, axisLabel), legend);
  const places = { curves: el("div", {}), map: el("div", {}) };
  home.append(places.curves, places.map);
  const start = data.telling_lag;
  const chart = lagChart(places.curves, { label: "Bits by lag", all: lags, start, logarithmic, series: () => (state.site ? probeSeries() : siteSeries()) });
  const map = heatMap(places.map, { start, pick: () => rows.filter(wanted), quantity: () => QUANTITIES[state.quantity] });
  function paint() {
    const heat = state.view === "map";
    places.curves.hidden = heat;
    places.map.hidden = !heat;
    legend.hidden = heat || Boolean(state.site) || sites.length === 1;
    for (const [label, off] of [[siteLabel, heat], [axisLabel, heat], [probeLabel, !heat && Boolean(state.site)]]) label.hidden = off;
    (heat ? map : chart).paint();
  }
  paint();
  return () => (state.view === "map" ? map.svg : chart.svg);
}

function differenceCurves(home) {
  const names = unique(data.differences.map((row) => `${row.report}: ${row.site}`));
  const all = unique(data.differences.map((row) => row.lag)).sort((a, b) => a - b);
  const series = names.map((name, place) => ({
    name, place, quantity: DIFFERENCE, rows: byLag(data.differences.filter((row) => `${row.report}: ${row.site}` === name)), note: `less ${data.differences[0].reference}`,
  }));
  const largest = data.differences.reduce((best, row) => (Math.abs(row.difference_bits) > Math.abs(best.difference_bits) ? row : best));
  home.append(el("div", { class: "legend" }, ...series.map(({ name, place }) => el("span", { class: "key" }, swatch(place), name))));
  lagChart(home, { label: `Bits less those of ${data.differences[0].reference}`, all, start: largest.lag, logarithmic: all[all.length - 1] >= 24, series: () => series }).paint();
}
