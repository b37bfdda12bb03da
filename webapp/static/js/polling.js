// Elements with data-poll="seconds" get a `poll` event that often, which HTMX turns into a request. Polling pauses while
// the page is hidden, and after an hour without input. While the server does not answer, elements have the class `stale`.
const STILL_WATCHING_MS = 60 * 60 * 1000;
let lastSign = Date.now();

for (const sign of ["pointerdown", "pointermove", "keydown", "scroll"]) {
  addEventListener(sign, () => { lastSign = Date.now(); }, { passive: true, capture: true });
}

const isWatched = () => !document.hidden && Date.now() - lastSign < STILL_WATCHING_MS;
const poll = (element) => {
  if (isWatched()) element.dispatchEvent(new Event("poll"));
};

const note = (event, isStale) => {
  if (event.target instanceof Element && event.target.matches("[data-poll]")) event.target.classList.toggle("stale", isStale);
};
document.addEventListener("htmx:after:request", (event) => note(event, event.detail.ctx.response.status >= 400));
document.addEventListener("htmx:error", (event) => note(event, true));

globalThis.bindTo("data-poll", (element, release) => {
  const stop = new AbortController();
  const tick = () => {
    if (element.isConnected && element.hasAttribute("data-poll")) return poll(element);
    clearInterval(interval); // the fragment came without it, or is gone
    stop.abort();
    release();
  };
  const interval = setInterval(tick, Number(element.dataset.poll) * 1000);
  document.addEventListener("visibilitychange", tick, { signal: stop.signal });
});
