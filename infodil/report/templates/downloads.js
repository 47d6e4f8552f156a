// Files to keep: the rows, the figure as it is shown, the report.
function save(name, type, text) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
function csv() {
  const quoted = (value) => (known(value) ? (/[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value)) : "");
  return [data.columns, ...data.rows].map((line) => line.map(quoted).join(",")).join("\n") + "\n";
}
const json = () => JSON.stringify({ ...data.saved, rows, text_view: data.text_view, schema_version: data.schema_version });

// A copy whose styles stand at its elements: a file has no style sheet.
function standalone(svg) {
  const copy = svg.cloneNode(true), from = [svg, ...svg.querySelectorAll("*")], to = [copy, ...copy.querySelectorAll("*")];
  const kept = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family"];
  from.forEach((node, place) => { const style = getComputedStyle(node); kept.forEach((name) => to[place].setAttribute(name, style.getPropertyValue(name))); });
  const [, , width, height] = svg.getAttribute("viewBox").split(" ");
  copy.prepend(draw("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor }));
  copy.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(copy);
}
function downloads(home, figure) {
  const button = (text, name, type, make) => el("button", { type: "button", class: "download", onclick: () => save(name, type, make()) }, text);
  home.append(el("p", { class: "tools" }, "Download:", button("rows (CSV)", "rows.csv", "text/csv", csv),
    figure ? button("figure (SVG)", "recoverability.svg", "image/svg+xml", () => standalone(figure())) : "",
    data.saved ? button("report (JSON)", "report.json", "application/json", json) : ""));
}
