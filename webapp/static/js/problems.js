// The line above the page that tells of an error goes when a later request of the person succeeds; a poll is nobody's.
document.addEventListener("htmx:after:request", ({ target, detail }) => {
  if (target instanceof Element && target.matches("[data-poll]")) return;
  if (detail.ctx.response.status < 400) document.getElementById("problem").replaceChildren();
});
