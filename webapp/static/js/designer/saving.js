// Saves the draft by itself, half a second after the last change, one request at a time. Questions that are as the
// server has them are sent as their index there, so that nothing of them can change on the way (SURVEY-27).
const PAUSE_MS = 500;
const RETRY_MS = [2000, 5000, 10000, 30000];

export class Saver {
  #timer = null;
  #running = null;
  #failures = 0;

  // `saved` is the document that the server has under `number`; `told` is called with each new state.
  constructor(address, token, saved, number, told) {
    Object.assign(this, { address, token, saved, number, told, wanted: saved, state: "saved" });
  }

  get isSaved() {
    return this.wanted === this.saved;
  }

  want(document) {
    this.wanted = document;
    if (this.state === "conflict") return;
    if (this.isSaved && !this.#running) return this.#tell("saved");
    if (this.state !== "failed") this.#tell("waiting");
    this.#after(PAUSE_MS);
  }

  // Waits for a save that is on its way, and begins none.
  async rest() {
    while (this.#running) await this.#running;
    clearTimeout(this.#timer);
  }

  // Saves now; resolves to whether all is saved.
  async flush() {
    await this.rest();
    if (!this.isSaved && this.state !== "conflict") await this.#save();
    return this.isSaved && this.state !== "conflict";
  }

  // Takes over what the server has now, to save what is wanted on top of it.
  rebase(saved, number) {
    Object.assign(this, { saved, number, state: "saved" });
    this.want(this.wanted);
  }

  #after(pause) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => { if (!this.#running) this.#save(); }, pause);
  }

  #save() {
    this.#running = this.#send(this.wanted).finally(() => {
      this.#running = null;
      if (!this.isSaved && this.state === "saved") this.#after(PAUSE_MS);
    });
    return this.#running;
  }

  async #send(document) {
    this.#tell("saving");
    let answer;
    try {
      answer = await fetch(this.address, {
        method: "PUT",
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": this.token },
        body: JSON.stringify({ number: this.number, ...this.#difference(document) }),
      });
      if (answer.status === 401) {
        globalThis.document.dispatchEvent(new Event("designer-signed-out"));
        return this.#fail("You are signed out. Sign in again, and what you edited is saved.");
      }
      const body = await answer.json();
      if (answer.status === 409) return this.#tell("conflict", body);
      if (!answer.ok) return this.#fail(body.error ?? `The server answers ${answer.status}.`);
      this.#failures = 0;
      Object.assign(this, { saved: document, number: body.number });
      this.#tell("saved", body);
    } catch {
      this.#fail("The server does not answer.");
    }
  }

  #difference(document) {
    const places = new Map(this.saved.content.map((question, place) => [question, place]));
    return {
      content: document.content.map((question) => places.get(question) ?? question),
      settings: document.settings === this.saved.settings ? null : document.settings,
    };
  }

  #fail(reason) {
    this.#tell("failed", { reason });
    this.#after(RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)]);
  }

  #tell(state, body = {}) {
    this.state = state;
    this.told(state, body);
  }
}
