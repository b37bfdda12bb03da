// Removes the error line above the page when a later request succeeds, unless that request was a poll.
document.addEventListener("htmx:after:request", ({ target, detail }) => {
  if (target instanceof Element && target.matches("[data-poll]")) return;
  if (detail.ctx.response.status < 400) document.getElementById("problem").replaceChildren();
});
