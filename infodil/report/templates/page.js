"use strict";
// Whatever came from a model or a corpus enters the page as a text node, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.rows.map((line) => Object.fromEntries(data.columns.map((name, place) => [name, line[place]])));
  const sites = [...new Set(rows.map((row) => row.site))];
  const probes = [...new Set(rows.map((row) => row.probe))];
  const unique = (values) => [...new Set(values)];
  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null).map((child) => (typeof child === "number" ? String(child) : child)));
    return node;
  }
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
  const known = (value) => value !== null && value !== undefined;
  const num = (value, digits = 2) => (known(value) ? value.toFixed(digits).replace("-", "\u2212") : "\u2013");
  const percent = (value) => (known(value) ? (100 * value).toFixed(0) + "%" : "\u2013");
  const range = (low, high, digits = 2) => (known(low) && known(high) ? `[${num(low, digits)}, ${num(high, digits)}]` : "");
  const colour = (place) => `var(--c${place % 10})`;
  const DASHES = ["", "8 3", "2 3", "8 3 2 3"];
  const MARKS = ["M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "M-3-3h6v6h-6z", "M0-4l4 7h-8z", "M0-4l4 4-4 4-4-4z", "M0 4l4-7h-8z"];
  const swatch = (place) =>
    draw("svg", { width: 26, height: 10, viewBox: "0 0 26 10", "aria-hidden": "true" },
      draw("path", { d: "M1 5H25", stroke: colour(place), "stroke-width": 2, "stroke-dasharray": DASHES[place % 4] }),
      draw("path", { d: MARKS[place % 5], fill: colour(place), transform: "translate(13 5)" }));

  function choice(name, options, onchange) {
    const select = el("select", { onchange: () => onchange(select.value) }, ...options.map(([value, text]) => el("option", { value }, text)));
    return [el("label", {}, name, select), select];
  }

  // ------------------------------------------------------------------------------------------------ the curves
  const QUANTITIES = {
    value: { name: "bits recovered", value: "value_bits", low: "low_bits", high: "high_bits", ceiling: true, upper: "upper_bits" },
    width: { name: "bits left open (upper bound less bits recovered)", value: "width_bits" },
    beyond: { name: "bits beyond context", value: "beyond_context_bits", low: "beyond_context_low_bits", high: "beyond_context_high_bits" },
    top1: { name: "top-1 accuracy", value: "top1" },
    top5: { name: "top-5 accuracy", value: "top5" },
    random: { name: "bits at random weights", value: "random_weights_bits", low: "random_weights_low_bits", high: "random_weights_high_bits" },
    shuffled: { name: "bits read from shuffled tokens", value: "shuffled_bits", low: "shuffled_low_bits", high: "shuffled_high_bits" },
  };

  function curves(home) {
    const state = { quantity: "value", probe: "chosen", axis: null, lag: null, hidden: new Set() };
    const lags = unique(rows.map((row) => row.lag)).sort((a, b) => a - b);
    // Where the upper bound is the entropy at every lag of a site, the ceiling says it already.
    const bounded = new Set(rows.filter((row) => row.upper_by && row.upper_by !== "entropy").map((row) => row.site));
    if (!lags.length) return home.append(el("p", {}, "No row was measured."));
    state.axis = lags[lags.length - 1] >= 24 ? "log" : "linear";
    state.lag = lags[0];
    if (sites.length > 10) {
      const shown = new Set(Array.from({ length: 10 }, (_, step) => Math.round((step * (sites.length - 1)) / 9)));
      sites.forEach((site, place) => shown.has(place) || state.hidden.add(site));
    }
    const measured = Object.entries(QUANTITIES).filter(([, q]) => rows.some((row) => known(row[q.value])));
    const [quantityLabel] = choice("Quantity", measured.map(([key, q]) => [key, q.name]), (value) => { state.quantity = value; paint(); });
    const [probeLabel] = choice("Probe", [["chosen", "chosen on calibration data"], ...probes.map((p) => [p, p])], (value) => { state.probe = value; paint(); });
    const [axisLabel, axisSelect] = choice("Lag axis", [["log", "logarithmic"], ["linear", "linear"]], (value) => { state.axis = value; paint(); });
    axisSelect.value = state.axis;
    const legend = el("div", { class: "legend", role: "group", "aria-label": "Sites shown" });
    sites.forEach((site, place) => {
      const button = el("button", { type: "button", "aria-pressed": String(!state.hidden.has(site)), onclick: () => {
        state.hidden.has(site) ? state.hidden.delete(site) : state.hidden.add(site);
        button.setAttribute("aria-pressed", String(!state.hidden.has(site)));
        paint();
      } }, swatch(place), site);
      legend.append(button);
    });
    const W = 760, H = 400, L = 52, R = 14, T = 22, B = 44;
    const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", tabindex: 0, "aria-label": "Bits by lag, one curve a site; arrow keys move the lag of the read-out" });
    const readout = el("div", { class: "readout", "aria-live": "polite" });
    home.append(el("div", { class: "tools" }, quantityLabel, probeLabel, axisLabel), legend, el("div", { class: "chart" }, svg, readout));

    const bend = (lag) => (state.axis === "log" ? Math.log2(1 + lag) : lag);
    const first = lags[0], last = lags[lags.length - 1];
    const x = (lag) => L + 8 + ((bend(lag) - bend(first)) / (bend(last) - bend(first) || 1)) * (W - L - R - 16);
    const pick = () => rows.filter((row) => (state.probe === "chosen" ? row.chosen : row.probe === state.probe) && !state.hidden.has(row.site));

    function lagTicks() {
      if (state.axis === "linear" || lags.length <= 6) {
        const step = Math.max(1, niceStep(last - first, 9));
        return lags.length <= 6 && state.axis === "log" ? lags : Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
      }
      const ticks = [0];
      for (let power = 1; power <= last; power *= 2) ticks.push(power);
      return ticks.filter((tick) => tick >= first);
    }
    function niceStep(span, most) {
      const raw = span / most || 1, scale = 10 ** Math.floor(Math.log10(raw));
      return scale * [1, 2, 5, 10].find((step) => step * scale >= raw);
    }

    function paint() {
      const q = QUANTITIES[state.quantity], shown = pick();
      const reach = shown.flatMap((row) => [row[q.value], row[q.low], row[q.high], q.ceiling ? row.ceiling_high_bits ?? row.ceiling_bits : null]).filter(known);
      const low = Math.min(0, ...reach), high = Math.max(low + 1e-3, ...reach, state.quantity.startsWith("top") ? 1 : 0);
      const step = niceStep(high - low, 7), bottom = low < 0 ? low - 0.03 * (high - low) : 0, top = high + 0.04 * (high - low);
      const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
      const y = (value) => H - B - ((value - bottom) / (top - bottom)) * (H - T - B);
      const line = (part, name) => part.filter((row) => known(row[name])).map((row, place) => `${place ? "L" : "M"}${x(row.lag).toFixed(1)} ${y(row[name]).toFixed(1)}`).join("");
      const band = (part, from, to) => {
        const whole = part.filter((row) => known(row[from]) && known(row[to]));
        return whole.length ? line(whole, from) + line([...whole].reverse(), to).replace("M", "L") + "Z" : "";
      };
      svg.replaceChildren();
      const axis = draw("g", { class: "axis" });
      for (let tick = Math.ceil(bottom / step - 1e-9) * step; tick <= top; tick += step) {
        axis.append(draw("line", { x1: L, x2: W - R, y1: y(tick), y2: y(tick), class: Math.abs(tick) < step / 2 ? "zero" : "" }),
          draw("text", { x: L - 7, y: y(tick) + 4, "text-anchor": "end" }, num(Math.abs(tick) < step / 2 ? 0 : tick, digits)));
      }
      lagTicks().forEach((tick) => axis.append(draw("line", { x1: x(tick), x2: x(tick), y1: H - B, y2: H - B + 5 }), draw("text", { x: x(tick), y: H - B + 18, "text-anchor": "middle" }, tick)));
      axis.append(draw("text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle" }, "lag (tokens back)"), draw("text", { x: 4, y: 12 }, q.name));
      svg.append(axis);
      if (q.ceiling) {
        // One ceiling as a rule; reports side by side may have one each, and equal ones are drawn once.
        const bounds = new Map(sites.map((site) => shown.filter((row) => row.site === site && known(row.ceiling_bits)).sort((a, b) => a.lag - b.lag))
          .filter((part) => part.length).map((part) => [line(part, "ceiling_bits"), part]));
        [...bounds].forEach(([path, part], place) => {
          svg.append(draw("path", { class: "ceiling-band", d: band(part, "ceiling_low_bits", "ceiling_high_bits") }), draw("path", { class: "ceiling", d: path }));
          if (!place) svg.append(draw("text", { class: "ceiling-name", x: W - R - 8, y: y(part[part.length - 1].ceiling_bits) - 6, "text-anchor": "end" }, "ceiling: entropy of a token"));
        });
      }
      sites.forEach((site, place) => {
        const part = shown.filter((row) => row.site === site).sort((a, b) => a.lag - b.lag);
        if (!part.length) return;
        if (q.upper && bounded.has(site)) {
          svg.append(draw("path", { class: "sandwich", fill: colour(place), d: band(part, q.value, q.upper) }),
            draw("path", { class: "upper", stroke: colour(place), d: line(part, q.upper) }));
        }
        if (q.low) svg.append(draw("path", { class: "band", fill: colour(place), d: band(part, q.low, q.high) }));
        svg.append(draw("path", { class: "curve", stroke: colour(place), "stroke-dasharray": DASHES[place % 4], d: line(part, q.value) }));
        if (part.length <= 24) part.forEach((row) => known(row[q.value]) && svg.append(draw("path", { d: MARKS[place % 5], fill: colour(place), transform: `translate(${x(row.lag)} ${y(row[q.value])})` })));
      });
      svg.append(draw("line", { class: "cursor", x1: x(state.lag), x2: x(state.lag), y1: T, y2: H - B }));
      tell(q, shown);
    }
    function tell(q, shown) {
      const here = shown.filter((row) => row.lag === state.lag);
      const share = state.quantity.startsWith("top");
      readout.replaceChildren(
        el("p", {}, `Lag ${state.lag}: ${q.name}`),
        el("table", {}, el("tbody", {}, ...here.map((row) => el("tr", {},
          el("td", { title: row.site }, swatch(sites.indexOf(row.site)), data.names[row.site]),
          el("td", {}, share ? percent(row[q.value]) : num(row[q.value]), el("small", {}, q.low ? range(row[q.low], row[q.high]) : ""), q.upper && bounded.has(row.site) ? el("small", {}, `at most ${num(row[q.upper])} (${row.upper_by})`) : null, el("small", {}, row.probe)))))),
        q.ceiling ? el("span", { class: "note" }, ...unique(here.filter((row) => known(row.ceiling_bits))
          .map((row) => `ceiling ${num(row.ceiling_bits)} ${range(row.ceiling_low_bits, row.ceiling_high_bits)} `))) : "");
    }
    function move(lag) {
      if (lag === state.lag) return;
      state.lag = lag;
      const cursor = svg.querySelector(".cursor");
      cursor.setAttribute("x1", x(lag));
      cursor.setAttribute("x2", x(lag));
      tell(QUANTITIES[state.quantity], pick());
    }
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * W;
      move(lags.reduce((best, lag) => (Math.abs(x(lag) - at) < Math.abs(x(best) - at) ? lag : best)));
    });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -lags.length, End: lags.length }[event.key];
      if (!step) return;
      event.preventDefault();
      move(lags[Math.min(lags.length - 1, Math.max(0, lags.indexOf(state.lag) + step))]);
    });
    paint();
  }

  // ------------------------------------------------------------------------------------------------ the text view
  // Signs for what would be invisible, or would turn the text around it: spaces, controls, marks of direction, lone surrogates.
  const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0\ufff0-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
  const sign = (letter) => ({ "\n": "\u21b5", "\t": "\u21e5", "\r": "\u240d" })[letter] || `\u27e8U+${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  function visible(token) {
    if (token === "") return [["sign", "\u2205"]];
    if (/^ +$/.test(token)) return [["sign", "\u2423".repeat(token.length)]];
    const parts = [];
    let from = 0;
    for (const match of token.matchAll(HIDDEN)) {
      if (match.index > from) parts.push(["plain", token.slice(from, match.index)]);
      parts.push(["sign", sign(match[0])]);
      from = match.index + 1;
    }
    if (from < token.length) parts.push(["plain", token.slice(from)]);
    return parts;
  }
  const spelled = (token) => visible(token).map(([, text]) => text).join("");

  function textView(home, recorded) {
    document.getElementById("text-section").hidden = false;
    const { tokens, lags } = recorded;
    // Far enough in for every lag, early enough to be in sight.
    const state = { site: 0, measure: "share", here: Math.min(tokens.length - 1, Math.max(24, Math.min(60, lags[lags.length - 1]))), held: false };
    const [siteLabel, siteSelect] = choice("Site", recorded.sites.map((view, place) => [place, `${view.site} (${view.probe})`]), (value) => { state.site = Number(value); paint(); });
    siteSelect.id = "text-site";
    const [measureLabel] = choice("Shade by", [["share", "share of the token's surprisal recovered"], ["probability", "probability given to the token"]], (value) => { state.measure = value; paint(); });
    const legend = el("span", { class: "scale" }, "nothing", el("i", {}), "all of it", el("u", {}, "first guess"), el("b", {}, "position"));
    const text = el("div", { class: "running-text", role: "listbox", "aria-label": "Text; arrow keys move the position" });
    const readout = el("div", { class: "readout", "aria-live": "polite", id: "text-readout" });
    const spans = tokens.map((token, place) => {
      const span = el("span", { class: "token", role: "option", tabindex: -1, "data-place": place },
        ...visible(token).map(([kind, part]) => (kind === "sign" ? el("span", { class: "sign" }, part) : part)));
      text.append(span);
      if (token.includes("\n")) text.append("\n");
      return span;
    });
    const place = (event) => { const span = event.target.closest(".token"); return span ? Number(span.dataset.place) : null; };
    const go = (to, focus) => { state.here = Math.min(tokens.length - 1, Math.max(0, to)); paint(); if (focus) spans[state.here].focus(); };
    text.addEventListener("pointerover", (event) => { const at = place(event); if (at !== null && !state.held) go(at); });
    text.addEventListener("focusin", (event) => { const at = place(event); if (at !== null && at !== state.here && !state.held) go(at); });
    text.addEventListener("click", (event) => { const at = place(event); if (at !== null) { state.held = !(state.held && at === state.here); go(at, true); } });
    text.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -10, ArrowDown: 10, Home: -tokens.length, End: tokens.length }[event.key];
      if (step) go(state.here + step, true);
      else if (event.key === "Enter" || event.key === " ") { state.held = !state.held; paint(); }
      else if (event.key === "Escape") { state.held = false; paint(); }
      else return;
      event.preventDefault();
    });
    home.append(el("div", { class: "tools" }, siteLabel, measureLabel, legend), el("div", { class: "view" }, text, readout));

    // bits = log q - log p, so the token's own surprisal -log p is bits - log q.
    function share(bits, probability) {
      const surprisal = bits - Math.log2(probability);
      return surprisal > 0 && Number.isFinite(surprisal) ? Math.min(1, Math.max(0, bits / surprisal)) : 0;
    }
    function paint() {
      const view = recorded.sites[state.site];
      text.classList.toggle("held", state.held);
      spans.forEach((span, at) => {
        span.classList.remove("here", "first");
        span.classList.toggle("later", at > state.here);
        span.style.setProperty("--level", 0);
        span.setAttribute("tabindex", at === state.here ? 0 : -1);
        span.setAttribute("aria-selected", String(at === state.here));
      });
      spans[state.here].classList.add("here");
      const lines = [];
      lags.forEach((lag, row) => {
        const at = state.here - lag, bits = view.bits[row][state.here], probability = view.probability[row][state.here], rank = view.rank[row][state.here];
        if (at < 0 || !known(bits)) return;
        const part = known(probability) ? share(bits, probability) : 0;
        const level = state.measure === "share" ? part : probability ?? 0;
        spans[at].style.setProperty("--level", level.toFixed(3));
        spans[at].classList.toggle("first", rank === 1);
        lines.push(el("tr", {}, el("td", {}, lag), el("td", { class: "what", title: spelled(tokens[at]) }, spelled(tokens[at])), el("td", {}, num(bits)), el("td", {}, percent(part)),
          el("td", {}, known(probability) ? (probability >= 0.0995 ? probability.toFixed(2) : probability.toPrecision(1)) : "\u2013"), el("td", {}, rank ?? "\u2013")));
      });
      const heads = ["lag", "token", "bits", "share", "prob.", "rank"];
      readout.replaceChildren(
        el("p", {}, `Position ${state.here} of ${tokens.length - 1}, \u201c${spelled(tokens[state.here])}\u201d${state.held ? ", held" : ""}`),
        lines.length ? el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, ...lines)) : el("span", {}, "No lag was read here."));
    }
    paint();
  }

  // ------------------------------------------------------------------------------------------------ all rows
  const withRange = (row, name, low, high, digits) => [num(row[name], digits), " ", el("small", {}, range(row[low], row[high], digits))];
  const COLUMNS = [
    ["site", "site", (row) => [row.site]],
    ["lag", "lag", (row) => [row.lag]],
    ["probe", "probe", (row) => [row.probe]],
    ["value_bits", "bits", (row) => withRange(row, "value_bits", "low_bits", "high_bits")],
    ["beyond_context_bits", "beyond context", (row) => withRange(row, "beyond_context_bits", "beyond_context_low_bits", "beyond_context_high_bits")],
    ["ceiling_bits", "ceiling", (row) => [num(row.ceiling_bits)]],
    ["upper_bits", "upper bound", (row) => [...withRange(row, "upper_bits", "upper_low_bits", "upper_high_bits"), " ", el("small", {}, row.upper_by || "")]],
    ["width_bits", "width", (row) => [num(row.width_bits)]],
    ["genie_bits", "genie", (row) => [num(row.genie_bits)]],
    ["usable_bits", "usable", (row) => [num(row.usable_bits)]],
    ["top1", "top-1", (row) => [percent(row.top1)]],
    ["top5", "top-5", (row) => [percent(row.top5)]],
    ["shuffled_bits", "shuffled", (row) => withRange(row, "shuffled_bits", "shuffled_low_bits", "shuffled_high_bits", 3)],
    ["samples", "test positions", (row) => [known(row.samples) ? row.samples.toLocaleString("en") : "\u2013"]],
    ["train_samples", "train positions", (row) => [known(row.train_samples) ? row.train_samples.toLocaleString("en") : "\u2013"]],
    ["chosen", "chosen", (row) => [row.chosen ? "yes" : ""]],
  ].filter(([name]) => rows.some((row) => known(row[name])));
  const PAGE = 200;

  function table(home) {
    const state = { by: null, down: false, site: "", probe: "", words: "", chosen: false, most: PAGE };
    const again = () => { state.most = PAGE; paint(); };
    const search = el("input", { type: "search", placeholder: "for example layer.3 linear", oninput: () => { state.words = search.value.toLowerCase(); again(); } });
    const [siteLabel] = choice("Site", [["", "all"], ...sites.map((site) => [site, site])], (value) => { state.site = value; again(); });
    const [probeLabel] = choice("Probe", [["", "all"], ...probes.map((probe) => [probe, probe])], (value) => { state.probe = value; again(); });
    const tick = el("input", { type: "checkbox", onchange: () => { state.chosen = tick.checked; again(); } });
    const heads = COLUMNS.map(([name, title]) => el("th", { scope: "col", "aria-sort": "none", "data-name": name }, el("button", { type: "button", onclick: () => {
      state.down = state.by === name ? !state.down : false;
      state.by = name;
      paint();
    } }, title)));
    const body = el("tbody", {}), count = el("p", { class: "note", "aria-live": "polite" });
    const more = el("button", { type: "button", class: "more", onclick: () => { state.most = Infinity; paint(); } }, "Show all rows");
    home.append(
      el("div", { class: "tools" }, el("label", {}, "Filter", search), siteLabel, probeLabel, el("label", { class: "check" }, tick, "chosen probe only")), count,
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All rows" }, el("table", { id: "all-rows" }, el("thead", {}, el("tr", {}, ...heads)), body)), more);

    function compare(a, b) {
      const [left, right] = [a[state.by], b[state.by]];
      if (!known(left) || !known(right)) return known(right) - known(left); // the unknown comes last, whichever way
      const order = typeof left === "string" ? left.localeCompare(right, "en", { numeric: true }) : Number(left) - Number(right);
      return state.down ? -order : order;
    }
    function paint() {
      const words = state.words.split(/\s+/).filter(Boolean);
      const found = rows.filter((row) => (!state.site || row.site === state.site) && (!state.probe || row.probe === state.probe) && (!state.chosen || row.chosen) &&
        words.every((word) => `${row.site} ${row.probe} ${row.lag}`.toLowerCase().includes(word)));
      if (state.by) found.sort(compare);
      heads.forEach((head) => head.setAttribute("aria-sort", head.dataset.name !== state.by ? "none" : state.down ? "descending" : "ascending"));
      body.replaceChildren(...found.slice(0, state.most).map((row) => el("tr", { class: row.chosen ? "chosen" : null }, ...COLUMNS.map(([name, , cells]) => el("td", name === "site" ? { title: row.site } : {}, ...cells(row))))));
      const shown = Math.min(found.length, state.most);
      count.textContent = `${found.length} of ${rows.length} rows${shown < found.length ? `, the first ${shown} shown` : ""}. The shaded rows are those of the chosen probe.`;
      more.hidden = shown === found.length;
    }
    paint();
  }

  curves(document.getElementById("curves"));
  if (data.text_view && data.text_view.tokens.length && data.text_view.sites.length) textView(document.getElementById("text"), data.text_view);
  table(document.getElementById("rows"));
})();
