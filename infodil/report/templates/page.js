const figure = curves(document.getElementById("curves"));
if (data.differences.length) differenceCurves(document.getElementById("differences"));
if (data.text_view && data.text_view.tokens.length && data.text_view.sites.length) textView(document.getElementById("text"), data.text_view);
table(document.getElementById("rows"));
sortable(document.getElementById("summary"));
downloads(document.getElementById("rows"), figure);
meanings();
