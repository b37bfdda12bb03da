// A click on an element with data-copy copies that text to the clipboard and confirms it.
document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("copied");
  document.getElementById("said").textContent = "Copied";
  setTimeout(() => button.classList.remove("copied"), 1500);
});
