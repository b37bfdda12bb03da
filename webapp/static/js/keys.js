// data-key="/" on a field: this key moves the focus there. In a table, j and k move along the links of its rows.
const isTyping = (element) => element.matches("input, textarea, select, [contenteditable]");

function moveInTable(step) {
  const links = [...document.querySelectorAll("main tbody th a")];
  const next = links[links.indexOf(document.activeElement) + step];
  next?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const field = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (field) {
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "j" || event.key === "k") {
    moveInTable(event.key === "j" ? 1 : -1);
  }
});
