// Undo and redo of documents. Changes with one key that follow each other within a moment are one step, so that typing
// a word is undone at once.
const MOMENT_MS = 1500;

export class History {
  #past = [];
  #future = [];
  #key = null;
  #at = 0;

  constructor(present) {
    this.present = present;
  }

  change(document, key = null, now = Date.now()) {
    if (document === this.present) return;
    const isSameStep = key !== null && key === this.#key && now - this.#at < MOMENT_MS;
    if (!isSameStep) this.#past.push(this.present);
    this.#future = [];
    [this.present, this.#key, this.#at] = [document, key, now];
  }

  undo() {
    if (!this.canUndo) return;
    this.#future.push(this.present);
    this.present = this.#past.pop();
    this.#key = null;
  }

  redo() {
    if (!this.canRedo) return;
    this.#past.push(this.present);
    this.present = this.#future.pop();
    this.#key = null;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }
}
