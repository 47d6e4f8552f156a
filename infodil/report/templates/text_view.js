// The text view: what the state at one position of a text still holds of the tokens before it.
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
