// The table of rows: filters by column, sortable; at first the rows of the selected probes.
const withRange = (row, name, low, high, digits) => [num(row[name], digits), " ", el("small", {}, range(row[low], row[high], digits))];
const count = (value) => [known(value) ? value.toLocaleString("en") : "\u2013"];
const CELLS = {
  value_bits: (row) => withRange(row, "value_bits", "low_bits", "high_bits"),
  beyond_context_bits: (row) => withRange(row, "beyond_context_bits", "beyond_context_low_bits", "beyond_context_high_bits"),
  upper_bits: (row) => [...withRange(row, "upper_bits", "upper_low_bits", "upper_high_bits"), " ", el("small", {}, row.upper_by || "")],
  top1: (row) => [percent(row.top1)],
  top5: (row) => [percent(row.top5)],
  shuffled_bits: (row) => withRange(row, "shuffled_bits", "shuffled_low_bits", "shuffled_high_bits", 3),
  random_weights_bits: (row) => (row.probe === data.control_probe ? withRange(row, "random_weights_bits", "random_weights_low_bits", "random_weights_high_bits") : [""]),
  samples: (row) => count(row.samples),
  train_samples: (row) => count(row.train_samples),
  chosen: (row) => [row.chosen ? "yes" : ""],
};
const PAGE = 200;

function table(home) {
  const columns = Object.entries(data.terms).filter(([name]) => rows.some((row) => known(row[name])));
  const cell = (row, name) => (CELLS[name] ? CELLS[name](row) : typeof row[name] === "string" ? [row[name]] : [name === "lag" ? row.lag : num(row[name])]);
  const state = { by: null, down: false, site: "", lag: "", probe: "chosen", most: PAGE };
  const set = (name) => (value) => { state[name] = value; state.most = PAGE; paint(); };
  const [siteLabel] = choice("Site", [["", "all"], ...sites.map((site) => [site, site])], set("site"));
  const [lagLabel] = choice("Lag", [["", "all"], ...lags.map((lag) => [lag, lag])], set("lag"));
  const [probeLabel, probeSelect] = choice("Probe", [["chosen", "selected probe"], ["", "all"], ...probes.map((probe) => [probe, probe])], set("probe"));
  probeSelect.id = "rows-probe";
  const note = el("p", { class: "note", "aria-live": "polite" });
  const heads = columns.map(([name, [term, meaning]]) => el("th", { scope: "col", "aria-sort": "none", "data-name": name }, el("button", { type: "button", title: meaning, onclick: () => {
    state.down = state.by === name ? !state.down : false;
    state.by = name;
    paint();
  } }, term)));
  const body = el("tbody", {});
  const more = el("button", { type: "button", class: "more", onclick: () => { state.most = Infinity; paint(); } }, "Show all rows");
  home.append(
    el("div", { class: "tools" }, siteLabel, lagLabel, probeLabel), note,
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of rows" }, el("table", { id: "all-rows" }, el("thead", {}, el("tr", {}, ...heads)), body)), more);

  function compare(a, b) {
    const [left, right] = [a[state.by], b[state.by]];
    if (!known(left) || !known(right)) return known(right) - known(left); // the unknown comes last, whichever way
    const order = typeof left === "string" ? left.localeCompare(right, "en", { numeric: true }) : Number(left) - Number(right);
    return state.down ? -order : order;
  }
  function paint() {
    const found = rows.filter((row) => (!state.site || row.site === state.site) && (!state.lag || row.lag === Number(state.lag)) &&
      (!state.probe || (state.probe === "chosen" ? row.chosen : row.probe === state.probe)));
    if (state.by) found.sort(compare);
    heads.forEach((head) => head.setAttribute("aria-sort", head.dataset.name !== state.by ? "none" : state.down ? "descending" : "ascending"));
    body.replaceChildren(...found.slice(0, state.most).map((row) => el("tr", { class: row.chosen && state.probe !== "chosen" ? "chosen" : null },
      ...columns.map(([name]) => el("td", name === "site" ? { title: row.site } : {}, ...cell(row, name))))));
    const shown = Math.min(found.length, state.most), meaning = state.by ? ` Sorted by ${data.terms[state.by][0]}: ${data.terms[state.by][1]}` : "";
    note.textContent = `${found.length} of ${rows.length} rows${shown < found.length ? `, the first ${shown} shown` : ""}.${state.probe === "chosen" ? "" : " Shaded rows are those of the selected probe."}${meaning}`;
    more.hidden = shown === found.length;
  }
  paint();
}

// The summary, which the page has as a table already: a button in each heading sorts it.
function sortable(home) {
  const body = home.querySelector("tbody");
  const value = (row, column) => { const text = row.children[column].textContent.replaceAll(",", "").trim(); const found = parseFloat(text.replace(/^>/, "")); return Number.isNaN(found) ? text : found; };
  home.querySelectorAll("thead th").forEach((head, column) => {
    let down = false;
    head.append(el("button", { type: "button", class: "sort", "aria-label": `sort by ${head.textContent.trim()}`, onclick: () => {
      const order = (a, b) => { const [left, right] = [value(a, column), value(b, column)]; return typeof left === "number" && typeof right === "number" ? left - right : String(left).localeCompare(String(right), "en", { numeric: true }); };
      body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
      home.querySelectorAll("thead th").forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      down = !down;
    } }, "\u2195"));
  });
}
