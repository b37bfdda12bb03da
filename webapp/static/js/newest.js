// What scrolls sideways and has its newest at the right, data-newest-last, starts there.
globalThis.bindTo("data-newest-last", (element) => { element.scrollLeft = element.scrollWidth; });
