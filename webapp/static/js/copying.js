// A press on an element with data-copy puts that text on the clipboard, and says so.
document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("copied");
  document.getElementById("said").textContent = "Copied";
  setTimeout(() => button.classList.remove("copied"), 1500);
});
