// Whatever came from a model or a corpus enters the page as a text node, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows.map((line) => Object.fromEntries(data.columns.map((name, place) => [name, line[place]])));
const unique = (values) => [...new Set(values)];
const sites = unique(rows.map((row) => row.site));
const probes = unique(rows.map((row) => row.probe));
const lags = unique(rows.map((row) => row.lag)).sort((a, b) => a - b);
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
// A site has the place of its name in the palette, here and in every figure.
const placeOf = (site) => data.places[site];
const colour = (place) => `var(--c${place % 10})`;
const DASHES = ["", "8 3", "2 3", "8 3 2 3", "7 2 2 2 2 2"];
const MARKS = ["M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "M-3-3h6v6h-6z", "M0-4l4 7h-8z", "M0-4l4 4-4 4-4-4z", "M0 4l4-7h-8z"];
const swatch = (place, stroke = colour(place)) =>
  draw("svg", { width: 26, height: 10, viewBox: "0 0 26 10", "aria-hidden": "true" },
    draw("path", { d: "M1 5H25", stroke, "stroke-width": 2, "stroke-dasharray": DASHES[place % 5] }),
    draw("path", { d: MARKS[place % 5], fill: stroke, transform: "translate(13 5)" }));

function choice(name, options, onchange, value) {
  const select = el("select", { onchange: () => onchange(select.value) }, ...options.map(([key, text]) => el("option", { value: key }, text)));
  if (known(value)) select.value = value;
  return [el("label", {}, name, select), select];
}

// A term opens its definition on a click, a tap or a key; Escape and a click elsewhere close it.
function meanings() {
  const box = el("div", { id: "meaning", role: "status", hidden: true });
  let open = null;
  document.body.append(box);
  function show(button) {
    if (open) open.setAttribute("aria-expanded", "false");
    open = open === button ? null : button;
    box.hidden = !open;
    box.textContent = open ? open.dataset.meaning : "";
    if (!open) return;
    open.setAttribute("aria-expanded", "true");
    const at = open.getBoundingClientRect();
    box.style.top = `${Math.min(at.bottom + 6, innerHeight - 90)}px`;
    box.style.left = `${Math.max(8, Math.min(at.left, innerWidth - box.offsetWidth - 8))}px`;
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".term");
    if (button) show(button);
    else if (open) show(open);
  });
  document.addEventListener("keydown", (event) => event.key === "Escape" && open && show(open));
  document.addEventListener("scroll", () => open && show(open), true);
}
