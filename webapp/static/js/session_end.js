// Warns before a session ends, and leaves the page when it has ended. The server decides: body[data-session-idle] and
// [data-session-most] hold the seconds left when the page was made. Typing counts as activity and is told to the server
// at most every two minutes; tabs tell each other when the session was extended.
const WARN_S = 90;
const TELL_EVERY_MS = 2 * 60 * 1000;
const { sessionIdle, sessionMost, sessionStay, sessionLeft, signIn } = document.body.dataset;
const tabs = new BroadcastChannel("session");
const loaded = Date.now();
let idleAt = loaded + Number(sessionIdle) * 1000;
let mostAt = loaded + Number(sessionMost) * 1000;
let told = loaded;
let wasActive = false;
let title = "";

const banner = document.getElementById("session-end");
const endsAt = () => Math.min(idleAt, mostAt);

function set({ idle, most }) {
  idleAt = Date.now() + idle * 1000;
  mostAt = Date.now() + most * 1000;
  show();
}

async function ask(address, method) {
  const headers = { Accept: "application/json" };
  if (method === "POST") headers["X-CSRFToken"] = JSON.parse(document.body.getAttribute("hx-headers:inherited"))["X-CSRFToken"];
  const answer = await fetch(address, { method, headers });
  if (answer.status === 401) return leave();
  if (!answer.ok) return;
  const left = await answer.json();
  set(left);
  if (method === "POST") tabs.postMessage(left);
}

function leave() {
  document.dispatchEvent(new Event("session-ended")); // forms keep what was typed
  const page = encodeURIComponent(location.pathname);
  location.assign(`${signIn}?page=${page}&ended=1`);
}

function stay() {
  told = Date.now();
  wasActive = false;
  return ask(sessionStay, "POST").catch(() => {});
}

function show() {
  const left = Math.ceil((endsAt() - Date.now()) / 1000);
  const isNear = left <= WARN_S;
  banner.hidden = !isNear;
  if (!isNear) {
    if (title) [document.title, title] = [title, ""];
    return;
  }
  banner.querySelector("[data-seconds]").textContent = Math.max(0, left);
  banner.querySelector("button").hidden = mostAt <= idleAt;
  title ||= document.title;
  if (document.hidden) document.title = document.title === title ? "Signed out soon" : title;
}

let isAsking = false;
async function tick() {
  const now = Date.now();
  if (wasActive && now - told > TELL_EVERY_MS) await stay();
  if (now >= endsAt() + 1000 && !isAsking) {
    isAsking = true;
    await ask(sessionLeft, "GET").catch(() => {}); // another tab may have extended it; a 401 leaves the page
    isAsking = false;
  }
  show();
}

for (const sign of ["keydown", "pointerdown", "input"]) {
  addEventListener(sign, () => { wasActive = true; }, { passive: true, capture: true });
}
tabs.addEventListener("message", ({ data }) => set(data));
document.addEventListener("htmx:after:request", () => { told = Date.now(); idleAt = Math.max(idleAt, Date.now() + 1000); });
banner.querySelector("button").addEventListener("click", stay);
setInterval(tick, 1000);
