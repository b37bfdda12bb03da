// An element with data-takes-focus has the focus as soon as it is on the page, so that the keyboard goes on from there.
globalThis.bindTo("data-takes-focus", (element) => element.focus());
